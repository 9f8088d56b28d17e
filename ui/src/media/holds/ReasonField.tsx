import { Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'

/** Why something is kept or let go, as long as the server takes it. */
export function ReasonField({ label, hint }: { label: string; hint?: string }) {
  const { t } = useTranslation()
  return (
    <Form.Item
      name="reason"
      label={label}
      extra={hint}
      rules={[
        {
          validator: (_, reason: string | undefined) =>
            (reason ?? '').trim().length >= 3
              ? Promise.resolve()
              : Promise.reject(new Error(t('media:hold.reason_needed'))),
        },
      ]}
    >
      <Input.TextArea autoFocus maxLength={500} autoSize={{ minRows: 2, maxRows: 6 }} />
    </Form.Item>
  )
}
