import { Form, Input, Segmented, Select } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Id } from '../api/types'
import { useSession } from '../governance/session'
import { OrganisationPicker } from '../registry/OrganisationPicker'
import { FormDialog } from '../shared/FormDialog'
import { useAddSource, useExpect } from './queries'

type Way = 'gb28181' | 'rtsp'

interface Fields {
  name: string
  organisation: Id
  device_id: string
  code: string
  url_main: string
  url_sub?: string
  username?: string
  password?: string
  transport: 'tcp' | 'udp'
}

/** Announce a GB/T 28181 device before it registers, or connect a camera by its RTSP address. */
export function AddDevice({ onClose, onAdded }: { onClose: () => void; onAdded: (id: Id) => void }) {
  const { t } = useTranslation()
  const home = useSession().data?.user.organisation
  const [way, setWay] = useState<Way>('gb28181')
  const expect = useExpect(onAdded)
  const connect = useAddSource(onAdded)
  const needed = (what: string) => [{ required: true, message: t('access:add.needed', { what }) }]
  const address = (needs: boolean) => [
    ...(needs ? needed(t('access:add.url_main')) : []),
    { pattern: /^rtsps?:\/\/[^\s@]+$/, message: t('access:add.url_fault') },
  ]
  const finish = ({ name, organisation, device_id, password, ...rest }: Fields) => {
    if (way === 'gb28181') {
      expect.mutate({ device_id, name: name.trim(), organisation, ...(password ? { password } : {}) })
    } else {
      const { code, url_main, url_sub = '', username = '', transport } = rest
      connect.mutate({
        code: code.trim(),
        name: name.trim(),
        organisation,
        url_main: url_main.trim(),
        url_sub: url_sub.trim(),
        username,
        password: password ?? '',
        transport,
      })
    }
  }
  return (
    <FormDialog<Fields>
      title={t('access:add.title')}
      okText={t('access:add.ok')}
      width={560}
      isSaving={expect.isPending || connect.isPending}
      onClose={onClose}
      initialValues={{ organisation: home?.id, transport: 'tcp' }}
      onFinish={finish}
    >
      <Segmented<Way>
        block
        value={way}
        onChange={setWay}
        options={[
          { value: 'gb28181', label: t('access:add.by_sip') },
          { value: 'rtsp', label: t('access:add.by_rtsp') },
        ]}
      />
      <p className="muted form-lead">
        {t(way === 'gb28181' ? 'access:add.sip_lead' : 'access:add.rtsp_lead')}
      </p>
      {way === 'gb28181' ? (
        <Form.Item
          name="device_id"
          label={t('access:column.device')}
          rules={[
            ...needed(t('access:column.device')),
            { pattern: /^\d{20}$/, message: t('access:add.code_fault') },
          ]}
        >
          <Input maxLength={20} inputMode="numeric" autoFocus className="mono" />
        </Form.Item>
      ) : (
        <>
          <Form.Item name="url_main" label={t('access:add.url_main')} rules={address(true)}>
            <Input placeholder="rtsp://192.0.2.20:554/stream1" maxLength={1000} autoFocus className="mono" />
          </Form.Item>
          <Form.Item
            name="url_sub"
            label={t('access:add.url_sub')}
            extra={t('access:add.url_sub_hint')}
            rules={address(false)}
          >
            <Input placeholder="rtsp://192.0.2.20:554/stream2" maxLength={1000} className="mono" />
          </Form.Item>
          <div className="form-pair">
            <Form.Item
              name="code"
              label={t('access:add.code')}
              extra={t('access:add.code_hint')}
              rules={needed(t('access:add.code'))}
            >
              <Input maxLength={64} className="mono" />
            </Form.Item>
            <Form.Item name="transport" label={t('access:policy.transport')}>
              <Select
                options={[
                  { value: 'tcp', label: 'TCP' },
                  { value: 'udp', label: 'UDP' },
                ]}
              />
            </Form.Item>
          </div>
        </>
      )}
      <div className="form-pair">
        <Form.Item name="name" label={t('access:column.name')} rules={needed(t('access:column.name'))}>
          <Input maxLength={100} />
        </Form.Item>
        <Form.Item
          name="organisation"
          label={t('access:organisation')}
          rules={[{ required: true, message: t('access:organisation_needed') }]}
        >
          <OrganisationPicker known={home ?? null} />
        </Form.Item>
      </div>
      <div className="form-pair">
        {way === 'rtsp' ? (
          <Form.Item name="username" label={t('access:add.username')}>
            <Input maxLength={200} autoComplete="off" />
          </Form.Item>
        ) : null}
        <Form.Item
          name="password"
          label={t('access:add.password')}
          extra={way === 'gb28181' ? t('access:add.password_hint') : null}
        >
          <Input.Password maxLength={128} autoComplete="new-password" />
        </Form.Item>
      </div>
    </FormDialog>
  )
}
