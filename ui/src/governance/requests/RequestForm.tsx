import { Form, Input, Select, Segmented } from 'antd'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Brought } from '../../api/types'
import { OrganisationPicker } from '../../registry/OrganisationPicker'
import { FormDialog } from '../../shared/FormDialog'
import { useDo } from '../../shared/useDo'
import { DayItem } from '../rights/DayItem'
import { dayOf } from '../rights/grants'
import { useSession } from '../session'
import { CHANNELS, draftOf, GROUNDS, momentOf, type Fields } from './requests'

/** Registers what somebody brings. */
export function RequestForm({ onClose }: { onClose: (made: Brought | null) => void }) {
  const { t } = useTranslation()
  const [form] = Form.useForm<Fields>()
  const kind = Form.useWatch<Brought['kind'] | undefined>('kind', form) ?? 'request'
  const own = useSession().data?.user.organisation ?? null
  const asks = kind === 'request'
  const save = useDo({
    run: (fields: Fields) => fetched<Brought>('POST', '/requests', { json: draftOf(fields) }),
    done: t('governance:request.saved'),
    renew: [['requests']],
    then: onClose,
  })
  const needed = [{ required: true, whitespace: true, message: t('governance:request.needed') }]
  const moment = [
    {
      validator: (_: unknown, text: string | undefined) =>
        text ? (momentOf(text) === null ? wrong() : Promise.resolve()) : asks ? wrong() : Promise.resolve(),
    },
  ]
  const wrong = () => Promise.reject(new Error(t('governance:request.moment_rule')))
  const today = dayOf(Date.now())
  return (
    <FormDialog<Fields>
      form={form}
      title={t('governance:request.add')}
      width={640}
      isSaving={save.isPending}
      onClose={() => onClose(null)}
      initialValues={{ kind: 'request', channel: 'counter', received_on: today, organisation: own?.id }}
      onFinish={(fields) => save.mutate(fields)}
    >
      <Form.Item name="kind" label={t('governance:request.kind_label')}>
        <Segmented
          options={(['request', 'complaint'] as const).map((value) => ({
            value,
            label: t(`governance:request.kind.${value}`),
          }))}
        />
      </Form.Item>
      <div className="sign-pair">
        <Form.Item
          name="organisation"
          label={t('governance:request.unit')}
          rules={[{ required: true, message: t('governance:user.organisation_needed') }]}
        >
          <OrganisationPicker known={own} />
        </Form.Item>
        <DayItem name="received_on" label={t('governance:request.received_on')} isNeeded />
        <Form.Item name="channel" label={t('governance:request.channel_label')}>
          <Select
            options={CHANNELS.map((value) => ({ value, label: t(`governance:request.channel.${value}`) }))}
          />
        </Form.Item>
        {asks ? (
          <Form.Item
            name="ground"
            label={t('governance:request.ground_label')}
            rules={[{ required: true, message: t('governance:request.needed') }]}
          >
            <Select
              options={GROUNDS.map((value) => ({ value, label: t(`governance:request.ground.${value}`) }))}
            />
          </Form.Item>
        ) : null}
      </div>
      <Form.Item name="what" label={t('governance:request.what')} rules={needed}>
        <Input.TextArea maxLength={1000} autoSize={{ minRows: 2, maxRows: 6 }} />
      </Form.Item>
      <Form.Item name="place" label={t('governance:request.place')} rules={asks ? needed : []}>
        <Input maxLength={200} />
      </Form.Item>
      <div className="sign-pair">
        <Form.Item name="from" label={t('governance:request.from')} rules={moment}>
          <Input className="mono" maxLength={16} placeholder={`${today} 08:30`} />
        </Form.Item>
        <Form.Item name="to" label={t('governance:request.to')} rules={moment}>
          <Input className="mono" maxLength={16} placeholder={`${today} 09:00`} />
        </Form.Item>
        <Form.Item
          name="name"
          label={t('governance:request.asker_name')}
          extra={t('governance:request.asker_hint')}
          rules={needed}
        >
          <Input maxLength={100} />
        </Form.Item>
        <Form.Item name="contact" label={t('governance:request.asker_contact')} rules={needed}>
          <Input maxLength={200} />
        </Form.Item>
      </div>
    </FormDialog>
  )
}
