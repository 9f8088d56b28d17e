import { Button, Form, InputNumber, Select, Switch } from 'antd'
import { useTranslation } from 'react-i18next'
import type { DeviceDetail, DevicePolicies } from '../api/types'
import { useCan } from '../governance/session'
import { useSetPolicies } from './queries'

const TRANSPORTS: readonly DevicePolicies['transport'][] = ['tcp-passive', 'tcp-active', 'udp']
const CHARSETS: readonly DevicePolicies['charset'][] = ['auto', 'gb18030', 'utf-8']

/** Deviations of GB/T 28181 devices, each with its values, the usual one first (it is the same as nothing said). */
const DEVIATIONS = {
  alarm_subscription: ['auto', 'yes', 'no'],
  ssrc: ['strict', 'any'],
  media_source: ['strict', 'any'],
  offer_qop: ['no', 'yes'],
  configuration: ['yes', 'no'],
} as const
const POSITION = 'position_interval_s'

type Extra = DevicePolicies['extra']

/** As the form has it: everything said. */
function filled(extra: Extra): Extra {
  const usual = Object.fromEntries(Object.entries(DEVIATIONS).map(([name, [first]]) => [name, first]))
  return { ...usual, [POSITION]: '0', ...extra }
}

/** As it is kept: only what is not usual, and whatever this form does not know. */
function kept(extra: Extra, before: Extra): Extra {
  const usual = filled({})
  const all = Object.entries({ ...before, ...extra })
  return Object.fromEntries(all.filter(([name, value]) => value !== usual[name]))
}

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
      initialValues={{ ...device.policies, extra: filled(device.policies.extra) }}
      onFinish={(values) => {
        const extra = kept({ ...values.extra }, device.policies.extra)
        save.mutate(device.gateway === 'gb28181' ? { ...values, extra } : values)
      }}
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
        <InputNumber min={5} max={3_600} suffix={t('access:policy.seconds')} style={{ width: '100%' }} />
      </Form.Item>
      <Form.Item name="catalogue_interval_s" label={t('access:policy.catalogue')}>
        <InputNumber min={60} max={604_800} suffix={t('access:policy.seconds')} style={{ width: '100%' }} />
      </Form.Item>
      <Form.Item name="audio" label={t('access:policy.audio')} valuePropName="checked">
        <Switch />
      </Form.Item>
      {device.gateway === 'gb28181' ? (
        <>
          {Object.entries(DEVIATIONS).map(([name, values]) => (
            <Form.Item
              key={name}
              name={['extra', name]}
              label={t(`access:policy.${name as keyof typeof DEVIATIONS}`)}
              extra={t(`access:policy.${name as keyof typeof DEVIATIONS}_hint`)}
            >
              <Select
                options={values.map((value) => ({ value, label: t(`access:policy.value.${value}`) }))}
              />
            </Form.Item>
          ))}
          <Form.Item
            name={['extra', POSITION]}
            label={t('access:policy.position')}
            extra={t('access:policy.position_hint')}
            getValueProps={(value: string | undefined) => ({ value: Number(value ?? 0) })}
            normalize={(value: number | null) => String(value ?? 0)}
          >
            <InputNumber
              min={0}
              max={3600}
              precision={0}
              suffix={t('access:policy.seconds')}
              style={{ width: '100%' }}
            />
          </Form.Item>
        </>
      ) : null}
      <Button type="primary" htmlType="submit" loading={save.isPending}>
        {t('shared:save')}
      </Button>
      {can.adopt ? null : <p className="muted">{t('shared:not_allowed')}</p>}
    </Form>
  )
}
