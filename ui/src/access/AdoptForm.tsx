import { Form, Input, Modal } from 'antd'
import { useTranslation } from 'react-i18next'
import type { Device, Id, Named } from '../api/types'
import { OrganisationPicker } from '../registry/OrganisationPicker'
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
  const [form] = Form.useForm<Fields>()
  const adopt = useAdopt(onClose)
  return (
    <Modal
      open
      title={t('access:adopt_title')}
      okText={t('access:adopt')}
      cancelText={t('shared:cancel')}
      confirmLoading={adopt.isPending}
      onOk={form.submit}
      onCancel={onClose}
    >
      <p className="muted">
        <code>{device.device_id}</code> · {device.address}
      </p>
      <Form<Fields>
        form={form}
        layout="vertical"
        requiredMark={false}
        style={{ marginTop: 16 }}
        initialValues={{ organisation: home?.id, name: device.name }}
        onFinish={({ organisation, name }) =>
          adopt.mutate({ id: device.id, organisation, name: name?.trim() })
        }
      >
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
      </Form>
    </Modal>
  )
}
