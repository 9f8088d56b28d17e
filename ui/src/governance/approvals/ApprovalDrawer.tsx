import { Drawer } from 'antd'
import { useTranslation } from 'react-i18next'
import type { Approval, Id } from '../../api/types'
import { Failed, Loading } from '../../shared/Face'
import { rangeText, stamp } from '../../shared/format'
import { PurposeLine } from '../reasons/PurposeLine'
import { ApprovalActs } from './ApprovalActs'
import { useApproval } from './approvals'
import { Left, PointLinks, StateOf, Urgent } from './parts'

/** All of one request. */
export function ApprovalDrawer({ id, onClose }: { id: Id | null; onClose: () => void }) {
  const { t } = useTranslation()
  const approval = useApproval(id)
  return (
    <Drawer
      open={id !== null}
      onClose={onClose}
      size={480}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{ wrapper: { maxWidth: '100%' } }}
      destroyOnHidden
      title={t('governance:approval.one')}
      extra={approval.data ? <StateOf approval={approval.data} /> : null}
      footer={approval.data ? <ApprovalActs approval={approval.data} /> : null}
    >
      {approval.data ? (
        <Fields approval={approval.data} />
      ) : approval.error ? (
        <Failed error={approval.error} retry={() => void approval.refetch()} />
      ) : (
        <Loading />
      )}
    </Drawer>
  )
}

function Fields({ approval: one }: { approval: Approval }) {
  const { t } = useTranslation()
  const rows: [label: string, value: React.ReactNode][] = [
    [t('governance:approval.who'), `${one.user.name} · ${one.unit}`],
    [t('governance:approval.action'), t(`governance:action.${one.action}`)],
    [t('governance:approval.points'), <PointLinks key="points" points={one.objects} />],
    [t('governance:approval.range'), rangeText(one.from, one.to)],
    [t('governance:purpose.title'), <PurposeLine key="purpose" purpose={one.purpose} />],
    [t('governance:purpose.note'), one.purpose.note || t('shared:none')],
    [t('governance:approval.reason'), one.reason],
    [t('governance:approval.urgent_mark'), one.urgent ? <Urgent approval={one} /> : t('shared:no')],
    [t('governance:approval.senior'), one.senior ? t('shared:yes') : t('shared:no')],
    [t('governance:approval.asked_at'), stamp(one.created_at)],
    [t('governance:approval.left_label'), <Left key="left" approval={one} />],
    [t('governance:approval.uses'), one.uses],
  ]
  if (one.decided_at !== null)
    rows.push(
      [t('governance:approval.decided'), `${one.decided_by} · ${stamp(one.decided_at)}`],
      [t('governance:approval.decision'), one.decision || t('shared:none')],
    )
  return (
    <dl className="reason-facts">
      {rows.map(([label, value]) => (
        <div key={label} className="reason-fact">
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
