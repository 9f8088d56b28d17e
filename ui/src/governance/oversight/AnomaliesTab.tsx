import { Segmented } from 'antd'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import type { Anomaly, AnomalyState } from '../../api/types'
import { PointName } from '../../media/PointName'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { count, rangeText } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { AnomalyDrawer } from './AnomalyDrawer'
import { boundOf, windowOf } from './anomalies'
import { Mark } from './Mark'

const STATES = ['open', 'explained', 'misconduct', 'dismissed'] as const satisfies readonly AnomalyState[]

/** What was unusual of how people look; what waits for an auditor comes first. */
export function AnomaliesTab() {
  const { t } = useTranslation()
  const [search, , put] = useAddress()
  const asked = search.get('state')
  const state = asked === 'all' ? 'all' : (STATES.find((one) => one === asked) ?? 'open')
  const opened = search.get('open')
  const list = usePages<Anomaly>('anomalies', '/anomalies', { state: state === 'all' ? null : state }, 60_000)
  const columns = useMemo<Column<Anomaly>[]>(
    () => [
      {
        key: 'rule',
        title: t('governance:anomaly.rule_label'),
        width: 'minmax(170px, 1.2fr)',
        render: (one) => (
          <span className="two">
            <span title={t(`governance:anomaly.about.${one.rule}`)}>
              <b>{t(`governance:anomaly.rule.${one.rule}`)}</b>
            </span>
            <span className="muted">{one.subject === '' ? null : <PointName id={one.subject} />}</span>
          </span>
        ),
      },
      {
        key: 'who',
        title: t('governance:ledger.actor'),
        width: 'minmax(120px, 1fr)',
        render: (one) => (
          <span className="two">
            <span title={one.user.name}>{one.user.name || one.user.id}</span>
            <span className="muted" title={one.unit}>
              {one.unit}
            </span>
          </span>
        ),
      },
      {
        key: 'when',
        title: t('governance:anomaly.window'),
        width: 'minmax(210px, 1fr)',
        render: (one) => <span title={rangeText(one.from, one.to)}>{windowOf(one)}</span>,
      },
      {
        key: 'count',
        title: t('governance:anomaly.count_label'),
        width: '190px',
        render: (one) => (
          <span className="two">
            <span>{t(`governance:anomaly.count.${one.rule}`, { n: count(one.count) })}</span>
            <span className="muted">
              {t(`governance:anomaly.bound.${boundOf(one.rule)}`, { n: count(one.bound) })}
              {one.usual === null ? null : ` · ${t('governance:anomaly.usual', { n: one.usual })}`}
            </span>
          </span>
        ),
      },
      {
        key: 'state',
        title: t('governance:anomaly.state_label'),
        width: 'minmax(130px, 1fr)',
        render: (one) => (
          <span className="two">
            <span>
              <Mark kind={one.state}>{t(`governance:anomaly.state.${one.state}`)}</Mark>
            </span>
            <span className="muted" title={one.note}>
              {one.note}
            </span>
          </span>
        ),
      },
    ],
    [t],
  )
  return (
    <>
      <ListPage
        list={list}
        label={t('governance:oversight.tab.anomalies')}
        columns={columns}
        rowKey={({ id }) => id}
        rowHeight={56}
        selected={opened}
        onOpen={({ id }) => put({ open: id })}
        empty={
          <Face
            kind="empty"
            text={t(state === 'open' ? 'governance:anomaly.none_open' : 'governance:anomaly.none')}
            detail={t('governance:anomaly.lead')}
          />
        }
      >
        <Segmented<AnomalyState | 'all'>
          value={state}
          aria-label={t('governance:anomaly.state_label')}
          onChange={(next) => put({ state: next, open: null })}
          options={[
            ...STATES.map((value) => ({ value, label: t(`governance:anomaly.state.${value}`) })),
            { value: 'all', label: t('governance:anomaly.all') },
          ]}
        />
        <span className="muted oversight-lead">{t('governance:anomaly.lead')}</span>
      </ListPage>
      <AnomalyDrawer id={opened} onClose={() => put({ open: null })} />
    </>
  )
}
