import { Segmented } from 'antd'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import type { Drift, DriftState, Id } from '../api/types'
import type { Column } from '../shared/DataTable'
import { Face } from '../shared/Face'
import { stamp } from '../shared/format'
import { ListPage } from '../shared/ListPage'
import { useDrifts, valueName } from './drifts'

const STATES = ['open', 'closed', 'all'] as const

interface DriftListProps {
  state: string | null
  onState: (state: DriftState | 'all') => void
  chosen: Id | null
  onOpen: (device: Id) => void
}

/** Devices that say something else of their settings than they should. */
export function DriftList({ state, onState, chosen, onOpen }: DriftListProps) {
  const { t } = useTranslation()
  const shown = STATES.find((one) => one === state) ?? 'open'
  const drifts = useDrifts(shown)
  const columns = useMemo<Column<Drift>[]>(
    () => [
      {
        key: 'kind',
        title: t('access:drift.kind_label'),
        width: '130px',
        render: (one) => t(`access:drift.kind.${one.kind}`),
      },
      {
        key: 'name',
        title: t('access:column.name'),
        width: 'minmax(140px, 1fr)',
        render: (one) => <span title={one.device.name}>{one.device.name}</span>,
      },
      {
        key: 'device',
        title: t('access:column.device'),
        width: '190px',
        render: (one) => <code>{one.device_id}</code>,
      },
      {
        key: 'changes',
        title: t('access:drift.changes'),
        width: 'minmax(240px, 2fr)',
        render: (one) => {
          const text = one.changes
            .map(({ name, before, after }) => `${valueName(name, t)} ${before ?? '–'} → ${after ?? '–'}`)
            .join(t('access:drift.comma'))
          return <span title={text}>{text || t('access:drift.row_changed')}</span>
        },
      },
      {
        key: 'since',
        title: t('access:drift.since_label'),
        width: '170px',
        render: (one) => stamp(one.opened_at),
      },
      {
        key: 'end',
        title: t('access:drift.end'),
        width: 'minmax(200px, 1.6fr)',
        render: (one) => <End drift={one} />,
      },
    ],
    [t],
  )
  return (
    <ListPage
      list={drifts}
      label={t('access:tab.drift')}
      columns={columns}
      rowKey={(one) => one.id}
      selected={drifts.rows.find((one) => one.device.id === chosen)?.id ?? null}
      onOpen={(one) => onOpen(one.device.id)}
      empty={
        <Face
          kind="empty"
          text={t(shown === 'open' ? 'access:drift.none_open' : 'access:drift.none')}
          detail={t('access:drift.lead')}
        />
      }
    >
      <Segmented<DriftState | 'all'>
        value={shown}
        aria-label={t('access:drift.end')}
        onChange={onState}
        options={STATES.map((value) => ({ value, label: t(`access:drift.state.${value}`) }))}
      />
      <p>{t('access:drift.lead')}</p>
    </ListPage>
  )
}

function End({ drift }: { drift: Drift }) {
  const { t } = useTranslation()
  if (drift.closed_at === null) return t('access:drift.state.open')
  const how =
    drift.closed_by === null
      ? t('access:drift.by_itself')
      : t('access:drift.by_whom', { who: drift.closed_by, reason: drift.reason })
  return (
    <span title={`${how} ${stamp(drift.closed_at)}`}>
      {how} <span className="muted">{stamp(drift.closed_at)}</span>
    </span>
  )
}
