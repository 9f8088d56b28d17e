import { Select } from 'antd'
import { useDeferredValue, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Id, Named, Point } from '../../api/types'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { ListPage } from '../../shared/ListPage'
import { SearchInput } from '../../shared/SearchInput'
import { StateMark } from '../../shared/StateMark'
import { OrganisationPicker } from '../OrganisationPicker'
import { useOrganisation } from '../organisations/queries'
import { useFiles } from './queries'

const CLASSES = ['1', '2', '3', '4', '9'] as const
const LIFECYCLES = ['planned', 'in_use', 'repair', 'removed'] as const

interface FilesTabProps {
  search: URLSearchParams
  put: (values: Record<string, string | null>) => void
  chosen: Id | null
  onOpen: (point: Id) => void
}

/** Every point that one sees with the file it has. */
export function FilesTab({ search, put, chosen, onOpen }: FilesTabProps) {
  const { t } = useTranslation()
  const [typed, setTyped] = useState(search.get('q') ?? '')
  const organisation = search.get('organisation')
  const files = useFiles({
    q: useDeferredValue(search.get('q') ?? ''),
    organisation,
    class: search.get('class'),
    lifecycle: search.get('lifecycle'),
  })
  const isNarrowed = ['q', 'organisation', 'class', 'lifecycle'].some((name) => search.get(name))
  const columns = useMemo<Column<Point>[]>(
    () => [
      {
        key: 'state',
        title: t('access:column.state'),
        width: '90px',
        render: (one) => <StateMark state={one.state} label />,
      },
      {
        key: 'name',
        title: t('access:column.name'),
        width: 'minmax(160px, 1.4fr)',
        render: (one) => one.name,
      },
      {
        key: 'code',
        title: t('registry:field.code'),
        width: '190px',
        render: (one) => <code>{one.code}</code>,
      },
      {
        key: 'kind',
        title: t('registry:field.kind'),
        width: '100px',
        render: (one) => t(`shared:kind.${one.kind}`),
      },
      {
        key: 'class',
        title: t('registry:files.class'),
        width: '110px',
        render: (one) => t(`shared:class.${one.class}`),
      },
      {
        key: 'lifecycle',
        title: t('registry:field.lifecycle'),
        width: '90px',
        render: (one) => t(`registry:choice.lifecycle.${one.lifecycle}`),
      },
      {
        key: 'division',
        title: t('registry:field.division'),
        width: 'minmax(100px, 1fr)',
        render: (one) => one.division?.name ?? '',
      },
      {
        key: 'organisation',
        title: t('registry:field.organisation'),
        width: 'minmax(120px, 1fr)',
        render: (one) => <span title={wayTo(one)}>{one.organisation?.name}</span>,
      },
      {
        key: 'address',
        title: t('registry:field.address'),
        width: 'minmax(140px, 1.4fr)',
        render: (one) => one.address ?? '',
      },
    ],
    [t],
  )
  return (
    <ListPage
      list={files}
      label={t('registry:files.title')}
      columns={columns}
      rowKey={(one) => one.id}
      selected={chosen}
      onOpen={(one) => onOpen(one.id)}
      empty={<Face kind="empty" text={t(isNarrowed ? 'registry:files.none_found' : 'registry:files.none')} />}
    >
      <SearchInput
        style={{ width: 240 }}
        placeholder={t('registry:files.search')}
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value)
          put({ q: event.target.value })
        }}
      />
      <Within organisation={organisation} onChange={(id) => put({ organisation: id })} />
      <Select<string>
        allowClear
        style={{ width: 130 }}
        aria-label={t('registry:field.point_class')}
        placeholder={t('registry:field.point_class')}
        value={search.get('class')}
        options={CLASSES.map((value) => ({ value, label: t(`shared:class.${value}`) }))}
        onChange={(value: string | undefined) => put({ class: value ?? null })}
      />
      <Select<string>
        allowClear
        style={{ width: 130 }}
        aria-label={t('registry:field.lifecycle')}
        placeholder={t('registry:field.lifecycle')}
        value={search.get('lifecycle')}
        options={LIFECYCLES.map((value) => ({ value, label: t(`registry:choice.lifecycle.${value}`) }))}
        onChange={(value: string | undefined) => put({ lifecycle: value ?? null })}
      />
    </ListPage>
  )
}

function wayTo({ organisation }: Point): string {
  return organisation?.path.map(({ name }) => name).join(' › ') ?? ''
}

interface WithinProps {
  organisation: Id | null
  onChange: (organisation: Id | null) => void
}

/** Narrows a list to an organisation with everything below it. */
export function Within({ organisation, onChange }: WithinProps) {
  const { t } = useTranslation()
  const found = useOrganisation(organisation)
  const known: Named | null = organisation ? { id: organisation, name: found.data?.name ?? '…' } : null
  return (
    <div style={{ width: 200 }}>
      <OrganisationPicker
        {...(organisation ? { value: organisation } : {})}
        known={known}
        allowClear
        placeholder={t('registry:files.within')}
        onChange={(id) => onChange(id ?? null)}
      />
    </div>
  )
}
