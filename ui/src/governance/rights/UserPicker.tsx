import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Select } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Id, Page, User } from '../../api/types'

/** One account, found by part of its name; none is oneself. */
export function UserPicker({ value, onChange }: { value: Id | null; onChange: (id: Id | null) => void }) {
  const { t } = useTranslation()
  const [query, setQuery] = useState('')
  const users = useQuery({
    queryKey: ['users', 'picked', query],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => fetched<Page<User>>('GET', '/users', { query: { query, limit: 50 }, signal }),
  })
  return (
    <Select<Id | null>
      className="user-picker"
      allowClear
      showSearch={{ filterOption: false, onSearch: setQuery }}
      value={value}
      placeholder={t('governance:rights.of_me')}
      aria-label={t('governance:rights.of')}
      loading={users.isFetching}
      notFoundContent={t('governance:user.none')}
      onChange={(id) => onChange(id ?? null)}
      options={users.data?.items.map((user) => ({
        value: user.id,
        label: `${user.display_name} (${user.username})`,
      }))}
    />
  )
}
