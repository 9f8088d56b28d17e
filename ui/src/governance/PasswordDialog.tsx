import { Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import { FormDialog } from '../shared/FormDialog'
import { useDo } from '../shared/useDo'
import { PASSWORD_MIN } from './SetupPage'

interface Fields {
  old: string
  new: string
  again: string
}

/** One's own new password. */
export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  const change = useDo({
    run: (fields: Fields) =>
      fetched<undefined>('PUT', '/session/password', { json: { old: fields.old, new: fields.new } }),
    done: t('governance:password.changed'),
    then: onClose,
  })
  return (
    <FormDialog<Fields>
      title={t('governance:password.title')}
      isSaving={change.isPending}
      onClose={onClose}
      onFinish={(fields) => change.mutate(fields)}
    >
      <Form.Item
        name="old"
        label={t('governance:password.old')}
        rules={[{ required: true, message: t('governance:login.password_needed') }]}
      >
        <Input.Password autoComplete="current-password" autoFocus />
      </Form.Item>
      <Form.Item
        name="new"
        label={t('governance:password.new')}
        rules={[
          {
            required: true,
            min: PASSWORD_MIN,
            message: t('governance:setup.password_rule', { n: PASSWORD_MIN }),
          },
        ]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Form.Item
        name="again"
        label={t('governance:setup.again')}
        dependencies={['new']}
        rules={[
          ({ getFieldValue }) => ({
            validator: (_, value) =>
              value === getFieldValue('new')
                ? Promise.resolve()
                : Promise.reject(new Error(t('governance:setup.differs'))),
          }),
        ]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
    </FormDialog>
  )
}
