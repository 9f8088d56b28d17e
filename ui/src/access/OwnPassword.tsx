import { Button, Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import type { Id } from '../api/types'
import { useCan } from '../governance/session'
import { Act } from '../shared/Act'
import { useOwnPassword, useSetOwnPassword } from './queries'

/** The password that this device alone must know; without one the domain's serves. */
export function OwnPassword({ device }: { device: Id }) {
  const { t } = useTranslation()
  const can = useCan()
  const own = useOwnPassword(device, can.adopt)
  const set = useSetOwnPassword(device)
  const [form] = Form.useForm<{ password: string }>()
  if (!can.adopt || own.data === undefined) return null
  return (
    <Form<{ password: string }>
      form={form}
      layout="vertical"
      requiredMark={false}
      style={{ maxWidth: 420, marginTop: 24 }}
      onFinish={({ password }) => {
        set.mutate(password)
        form.resetFields()
      }}
    >
      <Form.Item
        name="password"
        label={t('access:own.title')}
        extra={t(own.data.own ? 'access:own.has' : 'access:own.has_not')}
        rules={[{ required: true, message: t('access:own.needed') }]}
      >
        <Input.Password maxLength={128} autoComplete="new-password" />
      </Form.Item>
      <div className="row-acts">
        <Button htmlType="submit" loading={set.isPending}>
          {t(own.data.own ? 'access:own.change' : 'access:own.give')}
        </Button>
        {own.data.own ? <Act run={() => set.mutate(null)}>{t('access:own.drop')}</Act> : null}
      </div>
    </Form>
  )
}
