import { Form, Input, InputNumber, Select } from 'antd'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Regime, VideoSystem, VideoSystemDraft, VideoSystemEdit } from '../../api/types'
import { OrganisationPicker } from '../../registry/OrganisationPicker'
import { FormDialog } from '../../shared/FormDialog'
import { useDo } from '../../shared/useDo'
import { DayItem } from '../rights/DayItem'
import { fieldsOf, leastDays, REGIMES, type SystemFields } from './duties'

/** Enters a video system, or changes one. */
export function SystemForm({ system, onClose }: { system: VideoSystem | null; onClose: () => void }) {
  const { t } = useTranslation()
  const [form] = Form.useForm<SystemFields>()
  const regime = Form.useWatch<Regime | undefined>('regime', form) ?? system?.regime ?? 'art7'
  const save = useDo({
    run: ({ retention_days, ...rest }: SystemFields) => {
      const draft: VideoSystemDraft = { ...rest, retention_days: retention_days ?? leastDays(rest.regime) }
      return system
        ? fetched<VideoSystem>('PUT', `/video-systems/${system.id}`, {
            json: { ...draft, version: system.version } satisfies VideoSystemEdit,
          })
        : fetched<VideoSystem>('POST', '/video-systems', { json: draft })
    },
    done: t('governance:duty.saved'),
    renew: [['video-systems']],
    then: onClose,
  })
  const needed = (message: string) => [{ required: true, whitespace: true, message }]
  return (
    <FormDialog<SystemFields>
      form={form}
      title={system ? t('governance:duty.edit_title', { name: system.name }) : t('governance:duty.add')}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={fieldsOf(system)}
      onFinish={(fields) => save.mutate(fields)}
    >
      <Form.Item
        name="name"
        label={t('governance:duty.name')}
        rules={needed(t('governance:duty.name_needed'))}
      >
        <Input maxLength={100} autoFocus />
      </Form.Item>
      <Form.Item
        name="organisation"
        label={t('governance:duty.unit')}
        extra={t('governance:duty.unit_hint')}
        rules={[{ required: true, message: t('governance:user.organisation_needed') }]}
      >
        <OrganisationPicker known={system?.organisation ?? null} />
      </Form.Item>
      <Form.Item
        name="regime"
        label={t('governance:duty.regime_label')}
        extra={t(`governance:duty.owes.${regime}`)}
      >
        <Select options={REGIMES.map((value) => ({ value, label: t(`governance:duty.regime.${value}`) }))} />
      </Form.Item>
      <Form.Item
        name="legal_basis"
        label={t('governance:duty.legal_basis')}
        rules={needed(t('governance:duty.legal_basis_needed'))}
      >
        <Input maxLength={300} />
      </Form.Item>
      <DayItem name="in_use_on" label={t('governance:duty.in_use_on')} isNeeded />
      <Form.Item
        name="retention_days"
        label={t('governance:duty.retention')}
        rules={[
          {
            type: 'number',
            required: true,
            min: leastDays(regime),
            max: 3660,
            message: t('governance:duty.retention_rule', { n: leastDays(regime) }),
          },
        ]}
      >
        <InputNumber precision={0} />
      </Form.Item>
      <Form.Item
        name="contact"
        label={t('governance:duty.contact')}
        rules={needed(t('governance:duty.contact_needed'))}
      >
        <Input maxLength={200} />
      </Form.Item>
    </FormDialog>
  )
}
