import { Input, Select } from 'antd'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Division, FileEntry, Id, Page } from '../../api/types'
import { OrganisationPicker, OrganisationsPicker } from '../OrganisationPicker'
import { choiceLabel } from './fields'

/** Whether something is wrong with what stands there. */
export type Status = 'error' | 'warning' | ''

interface FileFieldProps {
  field: FileEntry
  id: string
  value: string
  names: ReadonlyMap<Id, string>
  status: Status
  /** Ids of what says more of it. */
  describedBy: string | undefined
  onChange: (value: string) => void
}

/** The control that fills in a field of the camera file. */
export function FileField({ field, id, value, names, status, describedBy, onChange }: FileFieldProps) {
  const known = (org: Id) => ({ id: org, name: names.get(org) ?? org })
  switch (field.form) {
    case 'organisation':
      return (
        <OrganisationPicker
          id={id}
          {...(value ? { value, known: known(value) } : {})}
          allowClear={field.key !== 'organisation'}
          onChange={(org) => onChange(org ?? '')}
        />
      )
    case 'organisations':
      return (
        <OrganisationsPicker
          id={id}
          value={value ? value.split('/') : []}
          known={value ? value.split('/').map(known) : []}
          onChange={(orgs) => onChange(orgs.join('/'))}
        />
      )
    case 'division':
      return <DivisionSelect id={id} value={value} status={status} onChange={onChange} />
    case 'choice':
    case 'choices':
      return <Chosen field={field} id={id} value={value} status={status} onChange={onChange} />
    default:
      return (
        <Input
          id={id}
          value={value}
          status={status}
          aria-describedby={describedBy}
          inputMode={field.form === 'number' ? 'decimal' : 'text'}
          className={['code', 'mac', 'ipv4', 'ipv6', 'police_unit'].includes(field.key) ? 'file-code' : ''}
          onChange={(event) => onChange(event.target.value)}
        />
      )
  }
}

interface ChosenProps {
  field: FileEntry
  id: string
  value: string
  status: Status
  onChange: (value: string) => void
}

/** A table's terms with what each generation writes for them; where the table is open, what is typed can be taken. */
function Chosen({ field, id, value, status, onChange }: ChosenProps) {
  const { t } = useTranslation()
  const [typed, setTyped] = useState('')
  const several = field.form === 'choices'
  const chosen = value === '' ? [] : several ? value.split('/') : [value]
  const options = field.choices.map((choice) => {
    const codes = [choice.a ? `A ${choice.a}` : '', choice.b ? `B ${choice.b}` : '']
      .filter(Boolean)
      .join(' · ')
    return { value: choice.value, label: choiceLabel(field, choice.value, t), codes }
  })
  const others = [...chosen, ...(field.is_free && typed.trim() ? [typed.trim()] : [])]
  for (const text of new Set(others))
    if (!options.some((one) => one.value === text || one.label === text))
      options.push({ value: text, label: text, codes: '' })
  return (
    <Select<string | string[]>
      id={id}
      {...(several ? { mode: 'multiple' as const, value: chosen } : value === '' ? {} : { value })}
      status={status}
      allowClear
      showSearch={{ optionFilterProp: 'label', onSearch: setTyped }}
      options={options}
      optionRender={({ data }) => (
        <span className="file-option">
          {data.label} <small>{data.codes}</small>
        </span>
      )}
      onChange={(next: string | string[] | undefined) => {
        setTyped('')
        onChange(next === undefined ? '' : typeof next === 'string' ? next : next.join('/'))
      }}
    />
  )
}

export function useDivisions() {
  return useQuery({
    queryKey: ['divisions'],
    staleTime: 10 * 60_000,
    queryFn: ({ signal }) => fetched<Page<Division>>('GET', '/divisions', { signal }),
    select: ({ items }) => items,
  })
}

interface DivisionSelectProps {
  id?: string
  value: string
  status?: Status
  placeholder?: string
  onChange: (value: string) => void
}

/** A division by its name or code; a code that is not known can be typed, old cameras have such. */
export function DivisionSelect({ id, value, status = '', placeholder, onChange }: DivisionSelectProps) {
  const divisions = useDivisions()
  const [typed, setTyped] = useState('')
  const options = (divisions.data ?? []).map(({ code, name }) => ({ value: code, label: `${name} ${code}` }))
  for (const text of new Set([value, typed.trim()]))
    if (/^\d{2,12}$/.test(text) && !options.some((one) => one.value === text))
      options.push({ value: text, label: text })
  return (
    <Select<string>
      style={{ width: '100%' }}
      {...(id === undefined ? {} : { id })}
      {...(value === '' ? {} : { value })}
      {...(placeholder === undefined ? {} : { placeholder, 'aria-label': placeholder })}
      status={status}
      allowClear
      loading={divisions.isPending}
      showSearch={{ optionFilterProp: 'label', onSearch: setTyped }}
      options={options}
      onChange={(next: string | undefined) => {
        setTyped('')
        onChange(next ?? '')
      }}
    />
  )
}
