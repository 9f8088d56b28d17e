import { Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import type { Drift } from '../api/types'
import { FormDialog } from '../shared/FormDialog'
import { Changes } from './Changes'
import { useAcceptDrift } from './drifts'

/** Says why what the device says now is right. */
export function AcceptDrift({ drift, onClose }: { drift: Drift; onClose: () => void }) {
  const { t } = useTranslation()
  const accept = useAcceptDrift(onClose)
  const isBroken = drift.kind === 'baseline'
  return (
    <FormDialog<{ reason: string }>
      title={t(isBroken ? 'access:drift.renew_title' : 'access:drift.accept_title')}
      okText={t('access:drift.accept_ok')}
      isSaving={accept.isPending}
      onClose={onClose}
      onFinish={({ reason }) => accept.mutate({ id: drift.id, reason: reason.trim() })}
    >
      <p className="form-lead">{t(isBroken ? 'access:drift.renew_text' : 'access:drift.accept_text')}</p>
      {isBroken ? null : <Changes changes={drift.changes} />}
      <Form.Item
        name="reason"
        label={t('access:drift.reason')}
        rules={[
          {
            validator: (_, reason: string | undefined) =>
              (reason ?? '').trim().length >= 3
                ? Promise.resolve()
                : Promise.reject(new Error(t('access:drift.reason_needed'))),
          },
        ]}
      >
        <Input.TextArea autoFocus maxLength={500} autoSize={{ minRows: 2, maxRows: 6 }} />
      </Form.Item>
    </FormDialog>
  )
}
