import { FilterOutlined } from '@ant-design/icons'
import { useQuery } from '@tanstack/react-query'
import { Drawer } from 'antd'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Id, LedgerRow, PointDetail } from '../../api/types'
import { said } from '../../said/said'
import { count, stamp } from '../../shared/format'
import { FILTERS, ofPoints, type Filters } from './rows'

type Filter = (values: Partial<Filters>) => void

interface LedgerDrawerProps {
  row: LedgerRow | null
  onClose: () => void
  onFilter: Filter
}

/** All of one row; who, what and why lead to the other rows of the same. */
export function LedgerDrawer({ row, onClose, onFilter }: LedgerDrawerProps) {
  const { t } = useTranslation()
  return (
    <Drawer
      open={row !== null}
      onClose={onClose}
      size={520}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      destroyOnHidden
      title={row ? `${row.chain} #${count(row.seq)}` : ''}
    >
      {row ? (
        <>
          <p className="muted reason-why">{t('governance:ledger.filter_hint')}</p>
          <Fields row={row} onFilter={onFilter} />
        </>
      ) : null}
    </Drawer>
  )
}

function Fields({ row, onFilter }: { row: LedgerRow; onFilter: Filter }) {
  const { t } = useTranslation()
  const by = (values: Partial<Filters>, text: ReactNode) => (
    <button type="button" className="ledger-by" onClick={() => onFilter(values)}>
      {text} <FilterOutlined aria-hidden />
    </button>
  )
  /** All rows of one thing, whatever was asked for before: some of them do not repeat its case or its person. */
  const only = (id: string) =>
    ({
      ...(Object.fromEntries(FILTERS.map((name) => [name, null])) as Filters),
      object: id,
    }) satisfies Filters
  const object = (id: string) => (id === '' ? '' : by(only(id), <code>{id}</code>))
  const rows: [key: string, value: ReactNode][] = [
    ['at', stamp(row.at)],
    ['actor', row.user.id === '' ? row.user.name : by({ actor: row.user.id }, row.user.name || row.user.id)],
    ['role', row.role && t(`governance:role.${row.role}`, { defaultValue: row.role })],
    ['unit', row.unit],
    ['org_path', row.org_path],
    ['terminal', row.terminal],
    ['session', row.session],
    ['kind', by({ kind: row.kind }, t(`governance:ledger.kinds.${row.kind}`, { defaultValue: row.kind }))],
    [
      'action',
      row.action &&
        by({ action: row.action }, t(`governance:action.${row.action}`, { defaultValue: row.action })),
    ],
    [
      'object',
      row.objects.length === 0 ? (
        ''
      ) : (
        <ul className="ledger-objects">
          {row.objects.map((id) => (
            <li key={id}>{by(only(id), ofPoints(row) ? <PointOf id={id} /> : <code>{id}</code>)}</li>
          ))}
        </ul>
      ),
    ],
    ['scope', row.scope],
    ['reason', row.reason && t(`governance:purpose.kind.${row.reason}`, { defaultValue: row.reason })],
    ['case', row.case && by({ case: row.case }, row.case)],
    ['purpose', object(row.purpose)],
    ['approval', object(row.approval)],
    ['look', object(row.look)],
    ['count', row.count > 0 ? count(row.count) : ''],
    ['bytes', row.bytes > 0 ? count(row.bytes) : ''],
    ['seconds', row.seconds > 0 ? row.seconds.toFixed(1) : ''],
    ['outcome', row.outcome],
    ['recipient', row.recipient],
    ['detail', said(row.detail)],
    ['skew', row.skew_us === 0 ? '' : `${(row.skew_us / 1000).toFixed(1)} ms`],
  ]
  return (
    <dl className="reason-facts">
      {rows.map(([key, value]) =>
        value === '' ? null : (
          <div key={key} className="reason-fact">
            <dt>{t(`governance:ledger.${key}`)}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  )
}

/** A point's name where it still is one, and its id. */
function PointOf({ id }: { id: Id }) {
  const point = useQuery({
    queryKey: ['point', id],
    staleTime: 60_000,
    queryFn: ({ signal }) => fetched<PointDetail>('GET', `/points/${id}`, { signal }),
  })
  return (
    <>
      {point.data?.name} <code>{id}</code>
    </>
  )
}
