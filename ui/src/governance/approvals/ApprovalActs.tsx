import { Form, Input } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Approval, Decision } from '../../api/types'
import { paths } from '../../app/paths'
import { Act } from '../../shared/Act'
import { FormDialog } from '../../shared/FormDialog'
import { rangeText } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { useSure } from '../../shared/useSure'
import { useCan } from '../session'

const RENEW = [['approvals'], ['approval']] as const

/** What this person can do with a request now. */
export function ApprovalActs({ approval, small = false }: { approval: Approval; small?: boolean }) {
  const { t } = useTranslation()
  const can = useCan()
  const sure = useSure()
  const [deciding, setDeciding] = useState<boolean | null>(null)
  const { mutate: withdraw } = useDo({
    run: () => fetched<undefined>('DELETE', `/approvals/${approval.id}`),
    done: t('governance:approval.withdrawn'),
    renew: RENEW,
  })
  const { id, objects, from, to, state, mine } = approval
  const usable = mine && (state === 'granted' || state === 'urgent') && can.view_playback
  const size = small ? 'small' : 'middle'
  return (
    <span
      className="row-acts"
      onClick={(event) => event.stopPropagation()}
      onKeyDown={(event) => event.stopPropagation()}
    >
      {approval.may_decide ? (
        <>
          <Act size={size} type="primary" run={() => setDeciding(true)}>
            {t('governance:approval.approve')}
          </Act>
          <Act size={size} danger run={() => setDeciding(false)}>
            {t('governance:approval.refuse')}
          </Act>
        </>
      ) : null}
      {mine && state === 'open' ? (
        <Act
          size={size}
          run={() =>
            sure({
              title: t('governance:approval.withdraw_title'),
              text: t('governance:approval.withdraw_text'),
              ok: t('governance:approval.withdraw'),
              run: () => withdraw(undefined),
            })
          }
        >
          {t('governance:approval.withdraw')}
        </Act>
      ) : null}
      {usable ? (
        <Act
          size={size}
          type="primary"
          to={paths.playback(
            objects.map((one) => one.id),
            from,
            { start: from, end: to },
          )}
        >
          {t('governance:approval.to_playback')}
        </Act>
      ) : null}
      {deciding === null ? null : (
        <DecisionDialog key={id} approval={approval} yes={deciding} onClose={() => setDeciding(null)} />
      )}
    </span>
  )
}

interface DecisionDialogProps {
  approval: Approval
  yes: boolean
  onClose: () => void
}

function DecisionDialog({ approval, yes, onClose }: DecisionDialogProps) {
  const { t } = useTranslation()
  const decide = useDo({
    run: ({ reason }: { reason: string }) =>
      fetched<Approval>('POST', `/approvals/${approval.id}/decision`, {
        json: { yes, reason: reason.trim() } satisfies Decision,
      }),
    done: t(yes ? 'governance:approval.approved' : 'governance:approval.refused'),
    renew: RENEW,
    then: onClose,
  })
  return (
    <FormDialog<{ reason: string }>
      title={t(yes ? 'governance:approval.approve_title' : 'governance:approval.refuse_title', {
        name: approval.user.name,
      })}
      okText={t(yes ? 'governance:approval.approve' : 'governance:approval.refuse')}
      danger={!yes}
      isSaving={decide.isPending}
      onClose={onClose}
      initialValues={{ reason: '' }}
      onFinish={(fields) => decide.mutate(fields)}
    >
      <dl className="reason-facts">
        <dt>{t('governance:approval.points')}</dt>
        <dd>{approval.objects.map(({ id, name }) => name || id).join('、')}</dd>
        <dt>{t('governance:approval.range')}</dt>
        <dd>{rangeText(approval.from, approval.to)}</dd>
        <dt>{t('governance:approval.reason')}</dt>
        <dd>{approval.reason}</dd>
      </dl>
      <Form.Item
        name="reason"
        label={t(yes ? 'governance:approval.remark' : 'governance:approval.why_not')}
        rules={
          yes ? [] : [{ required: true, whitespace: true, message: t('governance:approval.why_not_needed') }]
        }
      >
        <Input.TextArea autoFocus maxLength={500} autoSize={{ minRows: 2, maxRows: 6 }} />
      </Form.Item>
    </FormDialog>
  )
}
