import { Alert, Button, Form, Input, Modal, Switch } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../../api/client'
import type { Approval, ApprovalDraft } from '../../api/types'
import { paths } from '../../app/paths'
import { FormDialog } from '../../shared/FormDialog'
import { rangeText } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { useSession } from '../session'
import { usePurpose } from './purposes'
import { PurposeLine } from './PurposeLine'
import { useReasons, type Wanted } from './useReasons'

interface Fields {
  reason: string
  urgent?: boolean
}

const WHY = {
  export: 'why_text',
  unmask: 'why_unmask',
  delete: 'why_delete',
  view_playback: 'why_old',
} as const

interface ApprovalDialogProps {
  wanted: Wanted
  /** usable: it can be gone on with at once. */
  onEnd: (usable: boolean) => void
}

/** Asks a second person; says afterwards where to watch the request. */
export function ApprovalDialog({ wanted, onEnd }: ApprovalDialogProps) {
  const { t } = useTranslation()
  const reasons = useReasons()
  const purpose = usePurpose()
  const action = wanted.action ?? 'export'
  const customs = useSession().data?.customs
  const [sent, setSent] = useState<Approval | null>(null)
  const [form] = Form.useForm<Fields>()
  const urgent = Form.useWatch('urgent', form)
  const ask = useDo({
    // its purpose may have ended while this was filled in
    run: ({ reason, urgent }: Fields) =>
      reasons.insist(
        () =>
          fetched<Approval>('POST', '/approvals', {
            json: {
              action,
              objects: wanted.points.map(({ id }) => id),
              from: new Date(wanted.start).toISOString(),
              to: new Date(wanted.end).toISOString(),
              reason: reason.trim(),
              urgent: urgent ?? false,
            } satisfies ApprovalDraft,
          }),
        null,
      ),
    renew: [['approvals']],
    then: (made) => {
      if (made === null) return
      if (made.urgent) onEnd(true)
      else setSent(made)
    },
  })
  if (sent)
    return (
      <Modal
        open
        title={t('governance:approval.sent')}
        onCancel={() => onEnd(false)}
        footer={
          <Button type="primary" autoFocus onClick={() => onEnd(false)}>
            {t('shared:close')}
          </Button>
        }
      >
        <p>{t('governance:approval.sent_text', { n: customs?.approval_hours })}</p>
        <p>
          <Link to={paths.approvals({ tab: 'mine', open: sent.id })} onClick={() => onEnd(false)}>
            {t('governance:approval.watch')}
          </Link>
        </p>
      </Modal>
    )
  return (
    <FormDialog<Fields>
      title={t('governance:approval.ask')}
      okText={urgent ? t('governance:approval.send_urgent') : t('governance:approval.send')}
      danger={urgent}
      width={560}
      form={form}
      isSaving={ask.isPending}
      onClose={() => onEnd(false)}
      initialValues={{ reason: '', urgent: false }}
      onFinish={(fields) => ask.mutate(fields)}
    >
      <p className="muted reason-why">{t(`governance:approval.${WHY[action]}`)}</p>
      <dl className="reason-facts">
        <dt>{t('governance:approval.action')}</dt>
        <dd>{t(`governance:action.${action}`)}</dd>
        <dt>{t('governance:approval.points')}</dt>
        <dd>{wanted.points.map(({ name }) => name).join('、')}</dd>
        <dt>{t('governance:approval.range')}</dt>
        <dd>{rangeText(wanted.start, wanted.end)}</dd>
        <dt>{t('governance:purpose.title')}</dt>
        <dd>{purpose ? <PurposeLine purpose={purpose} /> : t('governance:purpose.over')}</dd>
      </dl>
      <Form.Item
        name="reason"
        label={t('governance:approval.reason')}
        rules={[{ required: true, whitespace: true, message: t('governance:approval.reason_needed') }]}
      >
        <Input.TextArea autoFocus maxLength={500} autoSize={{ minRows: 2, maxRows: 6 }} />
      </Form.Item>
      {action === 'delete' ? null : ( // what is deleted cannot be made good afterwards
        <Form.Item
          name="urgent"
          label={t('governance:approval.urgent')}
          valuePropName="checked"
          className="reason-end"
        >
          <Switch />
        </Form.Item>
      )}
      {urgent ? (
        <Alert
          className="reason-urgent"
          type="warning"
          showIcon
          title={t('governance:approval.urgent_text', { n: customs?.urgent_hours })}
        />
      ) : null}
    </FormDialog>
  )
}
