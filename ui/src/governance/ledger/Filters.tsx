import { Input } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { typedTime } from '../../media/playback/axis'
import { stamp } from '../../shared/format'
import type { Filters } from './rows'

interface FilterProps<N extends keyof Filters> {
  name: N
  value: string | null
  onFilter: (values: Partial<Filters>) => void
}

/** Asks the ledger on Enter or when it is left, not with every letter: an answer may mean many rows to look at. */
export function TextFilter({
  name,
  value,
  onFilter,
  wide = false,
}: FilterProps<'actor' | 'object' | 'case'> & { wide?: boolean }) {
  const { t } = useTranslation()
  const [typed, setTyped] = useState<string | null>(null)
  const done = () => {
    if (typed !== null && typed.trim() !== (value ?? '')) onFilter({ [name]: typed.trim() })
    setTyped(null)
  }
  return (
    <Input
      allowClear
      style={{ width: wide ? 200 : 130 }}
      aria-label={t(`governance:ledger.${name}`)}
      placeholder={t(`governance:ledger.${name}`)}
      title={t(`governance:ledger.${name}_hint`)}
      maxLength={100}
      value={typed ?? value ?? ''}
      onChange={(event) => {
        if (event.type === 'click') onFilter({ [name]: null })
        else setTyped(event.target.value)
      }}
      onBlur={done}
      onPressEnter={done}
    />
  )
}

export function TimeFilter({ name, value, onFilter }: FilterProps<'from' | 'to'>) {
  const { t } = useTranslation()
  const [typed, setTyped] = useState<string | null>(null)
  const at = typed === null || typed.trim() === '' ? null : typedTime(typed, Date.now())
  const wrong = typed !== null && typed.trim() !== '' && at === null
  const done = () => {
    if (typed === null || wrong) return
    onFilter({ [name]: at === null ? null : new Date(at).toISOString() })
    setTyped(null)
  }
  return (
    <Input
      style={{ width: 150 }}
      aria-label={t(`governance:ledger.${name}`)}
      placeholder={t(`governance:ledger.${name}`)}
      title={t('governance:ledger.time_hint')}
      status={wrong ? 'error' : ''}
      value={typed ?? (value === null ? '' : stamp(value).slice(0, 16))}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={done}
      onPressEnter={done}
    />
  )
}
