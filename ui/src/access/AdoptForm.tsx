import { Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import type { Device, Id, Named } from '../api/types'
import { OrganisationPicker } from '../registry/OrganisationPicker'
import { FormDialog } from '../shared/FormDialog'
import { useAdopt } from './queries'

interface Fields {
  organisation: Id
  name?: string
}

/** Adopt under a name and into an organisation of one's choice. */
export function AdoptForm({
  device,
  home,
  onClose,
}: {
  device: Device
  home: Named | null
  onClose: () => void
}) {
  const { t } = useTranslation()
  const adopt = useAdopt(onClose)
  return (
    <FormDialog<Fields>
      title={t('access:adopt_title')}
      okText={t('access:adopt')}
      isSaving={adopt.isPending}
      onClose={onClose}
      initialValues={{ organisation: home?.id, name: device.name }}
      onFinish={({ organisation, name }) => adopt.mutate({ id: device.id, organisation, name: name?.trim() })}
    >
      <p className="muted form-lead">
        <code>{device.device_id}</code> · {device.address}
      </p>
      <Form.Item
        name="organisation"
        label={t('access:organisation')}
        rules={[{ required: true, message: t('access:organisation_needed') }]}
      >
        <OrganisationPicker known={home} />
      </Form.Item>
      <Form.Item name="name" label={t('access:name')} extra={t('access:name_hint')}>
        <Input maxLength={100} autoFocus />
      </Form.Item>
    </FormDialog>
  )
}
