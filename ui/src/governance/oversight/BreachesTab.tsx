import { Segmented } from 'antd'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Breach, BreachState } from '../../api/types'
import { Act } from '../../shared/Act'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { count, stamp } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { useCan } from '../session'
import { BreachDrawer } from './BreachDrawer'
import { BreachForm } from './BreachForm'
import { STATES } from './breaches'
import { Mark } from './Mark'
import { Unreported } from './Unreported'

/** Breaches of personal information: who knows of them, and who does not yet. */
export function BreachesTab() {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const state = STATES.find((one) => one === search.get('state')) ?? 'all'
  const opened = search.get('open')
  const [editing, setEditing] = useState<Breach | 'new' | null>(null)
  const list = usePages<Breach>('breaches', '/breaches', { state: state === 'all' ? null : state })
  const denied = can.manage_breaches ? null : t('shared:not_allowed')
  const columns = useMemo<Column<Breach>[]>(
    () => [
      {
        key: 'state',
        title: t('governance:breach.state_label'),
        width: '240px',
        render: (one) => (
          <span className="two">
            <span>
              <Mark kind={one.state}>{t(`governance:breach.state.${one.state}`)}</Mark>
            </span>
            <Unreported breach={one} />
          </span>
        ),
      },
      {
        key: 'title',
        title: t('governance:breach.title_label'),
        width: 'minmax(180px, 2fr)',
        render: (one) => (
          <span className="two">
            <span title={one.title}>
              <b>{one.title}</b>
            </span>
            <span className="muted" title={one.organisation.name}>
              {one.organisation.name}
            </span>
          </span>
        ),
      },
      {
        key: 'kinds',
        title: t('governance:breach.kinds'),
        width: 'minmax(140px, 1.2fr)',
        render: (one) => {
          const kinds = one.kinds
            .map((kind) => t(`governance:breach.kind.${kind}`))
            .join(t('governance:breach.comma'))
          return <span title={kinds}>{kinds}</span>
        },
      },
      {
        key: 'affected',
        title: t('governance:breach.affected'),
        width: '140px',
        align: 'end',
        render: (one) => (one.affected === null ? t('governance:breach.unknown') : count(one.affected)),
      },
      {
        key: 'found',
        title: t('governance:breach.found_at'),
        width: '170px',
        render: (one) => stamp(one.found_at).slice(0, 16),
      },
    ],
    [t],
  )
  return (
    <>
      <ListPage
        list={list}
        label={t('governance:oversight.tab.breaches')}
        columns={columns}
        rowKey={({ id }) => id}
        rowHeight={56}
        selected={opened}
        onOpen={({ id }) => put({ open: id })}
        empty={<Face kind="empty" text={t('governance:breach.none')} detail={t('governance:breach.lead')} />}
      >
        <Segmented<BreachState | 'all'>
          value={state}
          aria-label={t('governance:breach.state_label')}
          onChange={(next) => put({ state: next === 'all' ? null : next, open: null })}
          options={[
            { value: 'all', label: t('governance:anomaly.all') },
            ...STATES.map((value) => ({ value, label: t(`governance:breach.state.${value}`) })),
          ]}
        />
        <Act type="primary" reason={denied} run={() => setEditing('new')}>
          {t('governance:breach.add')}
        </Act>
        <span className="muted oversight-lead">{t('governance:breach.lead')}</span>
      </ListPage>
      <BreachDrawer id={opened} denied={denied} onEdit={setEditing} onClose={() => put({ open: null })} />
      {editing ? (
        <BreachForm breach={editing === 'new' ? null : editing} onClose={() => setEditing(null)} />
      ) : null}
    </>
  )
}
