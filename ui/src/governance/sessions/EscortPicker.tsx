import { Select } from 'antd'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Page, User } from '../../api/types'

interface EscortPickerProps {
  value?: string
  onChange?: (value: string) => void
  id?: string
}

/** Who accompanies a contractor: a person of the house, found by name. */
export function EscortPicker({ value, onChange, id }: EscortPickerProps) {
  const { t } = useTranslation()
  const [query, setQuery] = useState('')
  const found = useQuery({
    queryKey: ['users', 'escort', query],
    queryFn: ({ signal }) => fetched<Page<User>>('GET', '/users', { query: { query, limit: 50 }, signal }),
  })
  const known = useQuery({
    queryKey: ['users', value],
    enabled: Boolean(value),
    queryFn: ({ signal }) => fetched<User>('GET', `/users/${value ?? ''}`, { signal }),
  })
  const people = (found.data?.items ?? []).filter((one) => !one.is_service && one.role !== 'contractor')
  const all = known.data && !people.some((one) => one.id === known.data.id) ? [known.data, ...people] : people
  return (
    <Select
      id={id}
      allowClear
      showSearch={{ filterOption: false, onSearch: setQuery }}
      loading={found.isFetching}
      placeholder={t('governance:user.escort_none')}
      value={value || undefined}
      onChange={(chosen: string | undefined) => onChange?.(chosen ?? '')}
      options={all.map((one) => ({
        value: one.id,
        label: `${one.display_name} · ${one.username} · ${one.organisation.name}`,
      }))}
    />
  )
}
