import { Button, Form, Input, Select } from 'antd'
import { useTranslation } from 'react-i18next'
import type { DeviceDetail, RtspSource } from '../api/types'
import { useCan } from '../governance/session'
import { Act } from '../shared/Act'
import { Failed, Loading } from '../shared/Face'
import { useSure } from '../shared/useSure'
import { useChangeSource, useRemoveSource, useSource } from './queries'

interface Fields {
  url_main: string
  url_sub: string
  username: string
  password?: string
  transport: 'tcp' | 'udp'
}

/** How a camera by address is reached: shown, changed, let go. */
export function Source({ device }: { device: DeviceDetail }) {
  const { t } = useTranslation()
  const can = useCan()
  const source = useSource(device.device_id, can.adopt)
  if (!can.adopt) return <p className="muted">{t('shared:not_allowed')}</p>
  if (source.error) return <Failed error={source.error} retry={() => void source.refetch()} />
  return source.data ? <Known source={source.data} /> : <Loading />
}

function Known({ source }: { source: RtspSource }) {
  const { t } = useTranslation()
  const sure = useSure()
  const change = useChangeSource(source.code)
  const remove = useRemoveSource(source.code)
  const [form] = Form.useForm<Fields>()
  const rules = (needed: boolean) => [
    ...(needed ? [{ required: true, message: t('access:add.url_fault') }] : []),
    { pattern: /^rtsps?:\/\/[^\s@]+$/, message: t('access:add.url_fault') },
  ]
  return (
    <Form<Fields>
      form={form}
      layout="vertical"
      requiredMark={false}
      initialValues={source}
      style={{ maxWidth: 520 }}
      onFinish={({ password, ...values }) => {
        change.mutate({ ...values, ...(password ? { password } : {}) })
        form.setFieldValue('password', '')
      }}
    >
      <Form.Item name="url_main" label={t('access:add.url_main')} rules={rules(true)}>
        <Input maxLength={1000} className="mono" />
      </Form.Item>
      <Form.Item
        name="url_sub"
        label={t('access:add.url_sub')}
        extra={t('access:add.url_sub_hint')}
        rules={rules(false)}
      >
        <Input maxLength={1000} className="mono" />
      </Form.Item>
      <div className="form-pair">
        <Form.Item name="username" label={t('access:add.username')}>
          <Input maxLength={200} autoComplete="off" />
        </Form.Item>
        <Form.Item
          name="password"
          label={t('access:add.password')}
          extra={source.has_password ? t('access:source.keep') : null}
        >
          <Input.Password maxLength={128} autoComplete="new-password" />
        </Form.Item>
      </div>
      <Form.Item name="transport" label={t('access:policy.transport')}>
        <Select
          options={[
            { value: 'tcp', label: 'TCP' },
            { value: 'udp', label: 'UDP' },
          ]}
        />
      </Form.Item>
      <div className="row-acts">
        <Button type="primary" htmlType="submit" loading={change.isPending}>
          {t('shared:save')}
        </Button>
        <Act
          danger
          loading={remove.isPending}
          run={() =>
            sure({
              title: t('access:source.remove_title', { code: source.code }),
              text: t('access:source.remove_text'),
              ok: t('access:source.remove'),
              run: () => remove.mutate(),
            })
          }
        >
          {t('access:source.remove')}
        </Act>
      </div>
    </Form>
  )
}
