import { useQuery } from '@tanstack/react-query'
import { Checkbox, Form, Input, Select } from 'antd'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Agreement, AgreementEdit, PartnerAccounts, PurposeKind } from '../../api/types'
import { OrganisationPicker } from '../../registry/OrganisationPicker'
import { FormDialog } from '../../shared/FormDialog'
import { useDo } from '../../shared/useDo'
import { DayItem } from '../rights/DayItem'
import { fieldsOf, type AgreementFields } from './agreements'
import { useShareable } from './shareable'
import './agreements.css'

const CLASSES = [1, 2, 3, 4, 9] as const
const KINDS = ['camera', 'checkpoint', 'alarm_point', 'sensor', 'watchtower'] as const
const PURPOSES = [
  'rescue',
  'criminal_case',
  'public_order_case',
  'traffic',
  'missing_person',
  'assistance',
  'inspection',
  'maintenance',
] as const satisfies readonly PurposeKind[]
const ACCOUNTS = 500

/** Writes a draft, or changes one. */
export function AgreementForm({ agreement, onClose }: { agreement: Agreement | null; onClose: () => void }) {
  const { t } = useTranslation()
  const [form] = Form.useForm<AgreementFields>()
  const shareable = useShareable()
  const accounts = useQuery({
    queryKey: ['partner-accounts'],
    queryFn: ({ signal }) =>
      fetched<PartnerAccounts>('GET', '/sharing/accounts', { query: { limit: ACCOUNTS }, signal }),
  })
  const save = useDo({
    run: (fields: AgreementFields) =>
      agreement
        ? fetched<Agreement>('PUT', `/sharing/${agreement.id}`, {
            json: { ...fields, version: agreement.version } satisfies AgreementEdit,
          })
        : fetched<Agreement>('POST', '/sharing', { json: fields }),
    done: t('governance:duty.saved'),
    renew: [['sharing']],
    then: onClose,
  })
  const needed = [{ required: true, whitespace: true, message: t('governance:breach.needed') }]
  const some = [{ required: true, type: 'array' as const, min: 1, message: t('governance:breach.needed') }]
  const everything = t('governance:grant.everything')
  return (
    <FormDialog<AgreementFields>
      form={form}
      width={760}
      title={
        agreement
          ? t('governance:duty.edit_title', { name: agreement.number })
          : t('governance:agreement.add')
      }
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={fieldsOf(agreement, Date.now())}
      onFinish={(fields) => save.mutate(fields)}
    >
      <div className="agreement-pair">
        <Form.Item name="department" label={t('governance:agreement.department')} rules={needed}>
          <Input maxLength={100} autoFocus />
        </Form.Item>
        <Form.Item name="unit" label={t('governance:agreement.unit')} rules={needed}>
          <Input maxLength={100} />
        </Form.Item>
        <Form.Item name="contact" label={t('governance:agreement.contact')} rules={needed}>
          <Input maxLength={200} />
        </Form.Item>
        <Form.Item
          name="number"
          label={t('governance:agreement.number')}
          extra={t('governance:agreement.number_hint')}
          rules={needed}
        >
          <Input maxLength={100} />
        </Form.Item>
      </div>
      <Form.Item name="legal_basis" label={t('governance:agreement.legal_basis')} rules={needed}>
        <Input maxLength={300} />
      </Form.Item>
      <div className="agreement-pair">
        <Form.Item name="kind" label={t('governance:agreement.kind')}>
          <Select
            options={PURPOSES.map((value) => ({ value, label: t(`governance:purpose.kind.${value}`) }))}
          />
        </Form.Item>
        <Form.Item
          name="accounts"
          label={t('governance:agreement.accounts')}
          extra={t('governance:agreement.accounts_hint')}
          rules={some}
        >
          <Select
            mode="multiple"
            loading={accounts.isPending}
            showSearch={{ optionFilterProp: 'label' }}
            notFoundContent={t('governance:agreement.no_accounts')}
            options={(accounts.data?.items ?? []).map(({ id, username, display_name }) => ({
              value: id,
              label: display_name === username ? username : `${username} · ${display_name}`,
            }))}
          />
        </Form.Item>
      </div>
      <Form.Item name="purpose" label={t('governance:agreement.purpose')} rules={needed}>
        <Input.TextArea maxLength={1000} autoSize={{ minRows: 2, maxRows: 6 }} />
      </Form.Item>
      <Form.Item
        name="organisation"
        label={t('governance:agreement.points')}
        rules={[{ required: true, message: t('governance:user.organisation_needed') }]}
      >
        <OrganisationPicker known={agreement?.organisation ?? null} />
      </Form.Item>
      <div className="agreement-pair">
        <Form.Item name="classes" label={t('governance:grant.classes')}>
          <Select
            mode="multiple"
            placeholder={everything}
            options={CLASSES.map((value) => ({ value, label: t(`shared:class.${value}`) }))}
          />
        </Form.Item>
        <Form.Item name="kinds" label={t('governance:grant.kinds')}>
          <Select
            mode="multiple"
            placeholder={everything}
            options={KINDS.map((value) => ({ value, label: t(`shared:kind.${value}`) }))}
          />
        </Form.Item>
        <Form.Item name="departments" label={t('governance:grant.departments')}>
          <Select
            mode="tags"
            open={false}
            suffix={null}
            placeholder={everything}
            tokenSeparators={[' ', ',', '/']}
          />
        </Form.Item>
        <Form.Item name="zones" label={t('governance:grant.zones')}>
          <Select
            mode="tags"
            open={false}
            suffix={null}
            placeholder={everything}
            tokenSeparators={[' ', ',']}
          />
        </Form.Item>
      </div>
      <Form.Item name="actions" label={t('governance:agreement.actions')} rules={some}>
        <Checkbox.Group
          options={(shareable.data?.actions ?? []).map((value) => ({
            value,
            label: t(`governance:action.${value}`),
          }))}
        />
      </Form.Item>
      <Form.Item
        name="fields"
        label={t('governance:agreement.fields')}
        extra={t('governance:agreement.fields_hint')}
      >
        <Select
          mode="multiple"
          loading={shareable.isPending}
          showSearch={{ optionFilterProp: 'label' }}
          options={(shareable.data?.fields ?? []).map(({ key, label }) => ({ value: key, label }))}
        />
      </Form.Item>
      <div className="agreement-pair">
        <DayItem name="from" label={t('governance:agreement.from')} isNeeded />
        <DayItem
          name="until"
          label={t('governance:agreement.until')}
          extra={t('governance:agreement.until_hint')}
          isNeeded
        />
      </div>
    </FormDialog>
  )
}
