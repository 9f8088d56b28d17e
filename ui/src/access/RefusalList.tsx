import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import type { Refusal } from '../api/types'
import type { Column } from '../shared/DataTable'
import { Face } from '../shared/Face'
import { ago, count, stamp } from '../shared/format'
import { ListPage } from '../shared/ListPage'
import { useNow } from '../shared/useNow'
import { usePages } from '../shared/usePages'
import { said } from '../said/said'

/** Whom the platform turned away, why, how often, and when last. */
export function RefusalList() {
  const { t } = useTranslation()
  const refusals = usePages<Refusal>('refusals', '/refusals')
  const now = useNow(10_000)
  const columns = useMemo<Column<Refusal>[]>(
    () => [
      {
        key: 'peer',
        title: t('access:refusal.peer'),
        width: 'minmax(180px, 1fr)',
        render: (one) => <code>{one.peer}</code>,
      },
      {
        key: 'device',
        title: t('access:column.device'),
        width: '190px',
        render: (one) => <code>{one.device}</code>,
      },
      {
        key: 'reason',
        title: t('access:refusal.reason'),
        width: 'minmax(240px, 2fr)',
        render: (one) => <span title={one.sample}>{said(one.reason)}</span>,
      },
      {
        key: 'count',
        title: t('access:refusal.count'),
        width: '100px',
        align: 'end',
        render: (one) => count(one.count),
      },
      {
        key: 'first',
        title: t('access:refusal.first'),
        width: '170px',
        render: (one) => stamp(one.first),
      },
      {
        key: 'last',
        title: t('access:refusal.last'),
        width: '120px',
        render: (one) => <span title={stamp(one.last)}>{ago((now - Date.parse(one.last)) / 1000, t)}</span>,
      },
    ],
    [t, now],
  )
  return (
    <ListPage
      list={refusals}
      label={t('access:tab.refusals')}
      columns={columns}
      rowKey={(one) => `${one.peer} ${one.device} ${one.reason}`}
      empty={<Face kind="empty" text={t('access:refusal.none')} />}
    >
      <p>{t('access:refusal.lead')}</p>
    </ListPage>
  )
}
