import { Grid } from 'antd'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import type { Approval } from '../../api/types'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { rangeText } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { PageHead } from '../../shared/PageHead'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { PurposeLine } from '../reasons/PurposeLine'
import { useCan } from '../session'
import { ApprovalActs } from './ApprovalActs'
import { ApprovalDrawer } from './ApprovalDrawer'
import { EVERY_MS, kept, useWaitingApprovals, WAITING_PATH, type Tab } from './approvals'
import { Left, PointLinks, StateOf, Urgent } from './parts'
import './approvals.css'

/** Requests for a second person: those that wait for oneself, one's own, and all that one may see. */
export function Component() {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const tabs: readonly Tab[] = can.approve ? ['decide', 'mine', 'all'] : ['mine']
  const tab = tabs.find((one) => one === search.get('tab')) ?? tabs[0] ?? 'mine'
  const opened = search.get('open')
  const waiting = useWaitingApprovals()
  if (!can.ask_approval && !can.approve)
    return <Face kind="forbidden" text={t('shared:not_allowed')} detail={t('shared:face.ask_admin')} />
  return (
    <div className="pane approvals">
      <PageHead
        title={t('governance:approval.title')}
        tab={tab}
        onTab={(next) => put({ tab: next, open: null })}
        tabs={tabs.map((key) => ({
          key,
          label: (
            <>
              {t(`governance:approval.tab.${key}`)}
              {key === 'decide' ? (
                <span className={waiting.count > 0 ? 'figure figure-wait' : 'figure'}>{waiting.text}</span>
              ) : null}
            </>
          ),
        }))}
      />
      <Requests key={tab} tab={tab} opened={opened} onOpen={(id) => put({ open: id })} />
      <ApprovalDrawer id={opened} onClose={() => put({ open: null })} />
    </div>
  )
}

interface RequestsProps {
  tab: Tab
  opened: string | null
  onOpen: (id: string) => void
}

function Requests({ tab, opened, onOpen }: RequestsProps) {
  const { t } = useTranslation()
  const wide = Grid.useBreakpoint().lg ?? true
  const all = usePages<Approval>('approvals', tab === 'decide' ? WAITING_PATH : '/approvals', {}, EVERY_MS)
  const list = useMemo(() => ({ ...all, rows: kept(tab, all.rows) }), [all, tab])
  const columns = useMemo<Column<Approval>[]>(
    () =>
      wide
        ? [
            {
              key: 'who',
              title: t('governance:approval.who'),
              width: 'minmax(110px, 0.7fr)',
              render: (one) => <Two first={<b>{one.user.name}</b>} second={one.unit} />,
            },
            {
              key: 'what',
              title: t('governance:approval.points'),
              width: 'minmax(150px, 1.2fr)',
              render: (one) => (
                <Two
                  first={<PointLinks points={one.objects} />}
                  second={t(`governance:action.${one.action}`)}
                />
              ),
            },
            {
              key: 'range',
              title: `${t('governance:approval.range')} / ${t('governance:purpose.title')}`,
              width: 'minmax(250px, 1.2fr)',
              render: (one) => (
                <Two first={rangeText(one.from, one.to)} second={<PurposeLine purpose={one.purpose} />} />
              ),
            },
            {
              key: 'reason',
              title: t('governance:approval.reason'),
              width: 'minmax(140px, 1.3fr)',
              render: (one) => <span title={one.reason}>{one.reason}</span>,
            },
            {
              key: 'state',
              title: t('governance:approval.state_label'),
              width: '150px',
              render: (one) => (
                <Two
                  first={
                    <>
                      <StateOf approval={one} /> <Urgent approval={one} />
                    </>
                  }
                  second={<Left approval={one} />}
                />
              ),
            },
            {
              key: 'acts',
              title: <span className="visually-hidden">{t('governance:approval.acts')}</span>,
              width: '170px',
              align: 'end',
              render: (one) => <ApprovalActs approval={one} small />,
            },
          ]
        : [
            {
              key: 'card',
              title: t('governance:approval.title'),
              width: 'minmax(0, 1fr)',
              render: (one) => <Card approval={one} />,
            },
          ],
    [t, wide],
  )
  return (
    <ListPage
      list={list}
      label={t('governance:approval.title')}
      columns={columns}
      rowKey={(one) => one.id}
      rowHeight={wide ? 56 : 196}
      bare={!wide}
      selected={opened}
      onOpen={(one) => onOpen(one.id)}
      empty={<Face kind="empty" text={t(`governance:approval.none.${tab}`)} />}
    />
  )
}

function Two({ first, second }: { first: React.ReactNode; second: React.ReactNode }) {
  return (
    <span className="two">
      <span>{first}</span>
      <span className="muted">{second}</span>
    </span>
  )
}

/** A request on a phone. */
function Card({ approval: one }: { approval: Approval }) {
  const { t } = useTranslation()
  return (
    <span className="approval-card">
      <span className="approval-card-head">
        <b>{one.user.name}</b>
        <span className="muted">{one.unit}</span>
        <StateOf approval={one} />
      </span>
      <span>
        <Urgent approval={one} /> {t(`governance:action.${one.action}`)} · <PointLinks points={one.objects} />
      </span>
      <span>{rangeText(one.from, one.to)}</span>
      <span className="muted">
        <PurposeLine purpose={one.purpose} />
      </span>
      <span title={one.reason}>{one.reason}</span>
      <span className="approval-card-foot">
        <span className="muted">
          <Left approval={one} />
        </span>
        <ApprovalActs approval={one} />
      </span>
    </span>
  )
}
