import { Button, Form, InputNumber, Select, Switch } from 'antd'
import { useTranslation } from 'react-i18next'
import type { DeviceDetail, DevicePolicies } from '../api/types'
import { useCan } from '../governance/session'
import { useSetPolicies } from './queries'

const TRANSPORTS: readonly DevicePolicies['transport'][] = ['tcp-passive', 'tcp-active', 'udp']
const CHARSETS: readonly DevicePolicies['charset'][] = ['auto', 'gb18030', 'utf-8']

/** How the platform treats this device. */
export function Policies({ device }: { device: DeviceDetail }) {
  const { t } = useTranslation()
  const can = useCan()
  const save = useSetPolicies(device.id)
  return (
    <Form<DevicePolicies>
      layout="vertical"
      requiredMark={false}
      disabled={!can.adopt}
      initialValues={device.policies}
      onFinish={(values) => save.mutate(values)}
      style={{ maxWidth: 420 }}
    >
      <Form.Item
        name="transport"
        label={t('access:policy.transport')}
        extra={t('access:policy.transport_hint')}
      >
        <Select
          options={TRANSPORTS.map((value) => ({ value, label: t(`access:policy.transports.${value}`) }))}
        />
      </Form.Item>
      <Form.Item name="charset" label={t('access:policy.charset')}>
        <Select
          options={CHARSETS.map((value) => ({
            value,
            label: value === 'auto' ? t('access:policy.auto') : value.toUpperCase(),
          }))}
        />
      </Form.Item>
      <Form.Item name="keepalive_s" label={t('access:policy.keepalive')}>
        <InputNumber min={5} max={600} suffix={t('access:policy.seconds')} style={{ width: '100%' }} />
      </Form.Item>
      <Form.Item name="catalogue_interval_s" label={t('access:policy.catalogue')}>
        <InputNumber min={60} max={86_400} suffix={t('access:policy.seconds')} style={{ width: '100%' }} />
      </Form.Item>
      <Form.Item name="audio" label={t('access:policy.audio')} valuePropName="checked">
        <Switch />
      </Form.Item>
      <Button type="primary" htmlType="submit" loading={save.isPending}>
        {t('shared:save')}
      </Button>
      {can.adopt ? null : <p className="muted">{t('shared:not_allowed')}</p>}
    </Form>
  )
}
