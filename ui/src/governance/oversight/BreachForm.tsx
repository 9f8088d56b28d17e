import { useQuery } from '@tanstack/react-query'
import { Form, Input, InputNumber, Select } from 'antd'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Breach, BreachEdit, BreachExtent } from '../../api/types'
import { OrganisationPicker } from '../../registry/OrganisationPicker'
import { FormDialog } from '../../shared/FormDialog'
import { count } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { draftOf, fieldsOf, KINDS, sent, type BreachFields } from './breaches'
import { MomentItem } from './MomentItem'

const LATER = ['cause', 'harm', 'measures', 'advice'] as const

/** Enters a breach, or what more is known of it. What nobody knows yet may be left open. */
export function BreachForm({ breach, onClose }: { breach: Breach | null; onClose: () => void }) {
  const { t } = useTranslation()
  const [form] = Form.useForm<BreachFields>()
  const from = Form.useWatch<string | undefined>('from', form)
  const to = Form.useWatch<string | undefined>('to', form)
  const save = useDo({
    run: (fields: BreachFields) =>
      breach
        ? fetched<Breach>('PUT', `/breaches/${breach.id}`, {
            json: { ...draftOf(fields), version: breach.version } satisfies BreachEdit,
          })
        : fetched<Breach>('POST', '/breaches', { json: draftOf(fields) }),
    done: t('governance:duty.saved'),
    renew: [['breaches'], ['breach']],
    then: onClose,
  })
  const needed = [{ required: true, whitespace: true, message: t('governance:breach.needed') }]
  return (
    <FormDialog<BreachFields>
      form={form}
      width={680}
      title={breach ? t('governance:duty.edit_title', { name: breach.title }) : t('governance:breach.add')}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={fieldsOf(breach, Date.now())}
      onFinish={(fields) => save.mutate(fields)}
    >
      <Form.Item name="title" label={t('governance:breach.title_label')} rules={needed}>
        <Input maxLength={100} autoFocus />
      </Form.Item>
      <Form.Item
        name="organisation"
        label={t('governance:breach.unit')}
        rules={[{ required: true, message: t('governance:user.organisation_needed') }]}
      >
        <OrganisationPicker known={breach?.organisation ?? null} />
      </Form.Item>
      <div className="oversight-three">
        <MomentItem name="found_at" label={t('governance:breach.found_at')} isNeeded />
        <MomentItem name="from" label={t('governance:breach.from')} isNeeded />
        <MomentItem name="to" label={t('governance:breach.to')} />
      </div>
      <Form.Item name="what" label={t('governance:breach.what')} rules={needed}>
        <Input.TextArea maxLength={4000} autoSize={{ minRows: 2, maxRows: 6 }} />
      </Form.Item>
      <Form.Item
        name="kinds"
        label={t('governance:breach.kinds')}
        rules={[{ required: true, message: t('governance:breach.kinds_needed') }]}
      >
        <Select
          mode="multiple"
          options={KINDS.map((value) => ({ value, label: t(`governance:breach.kind.${value}`) }))}
        />
      </Form.Item>
      <Form.Item
        name="affected"
        label={t('governance:breach.affected')}
        extra={<Extent from={sent(from)} to={sent(to)} />}
      >
        <InputNumber min={0} max={2_000_000_000} precision={0} style={{ width: 200 }} />
      </Form.Item>
      {LATER.map((name) => (
        <Form.Item key={name} name={name} label={t(`governance:breach.${name}`)}>
          <Input.TextArea maxLength={4000} autoSize={{ minRows: 1, maxRows: 6 }} />
        </Form.Item>
      ))}
      <Form.Item name="contact" label={t('governance:breach.contact')} rules={needed}>
        <Input maxLength={200} />
      </Form.Item>
    </FormDialog>
  )
}

/** What the ledger knows of the time in which it happened. */
function Extent({ from, to }: { from: string | null; to: string | null }) {
  const { t } = useTranslation()
  const extent = useQuery({
    queryKey: ['breach-extent', from, to],
    enabled: from !== null,
    retry: false,
    staleTime: 60_000,
    queryFn: ({ signal }) =>
      fetched<BreachExtent>('GET', '/breaches/extent', {
        query: { from, to: to ?? new Date().toISOString() },
        signal,
      }),
  })
  if (from === null || !extent.data) return <>{t('governance:breach.affected_hint')}</>
  const { looks, points, accounts } = extent.data
  return (
    <>
      {t('governance:breach.extent', {
        looks: count(looks),
        points: count(points),
        accounts: count(accounts),
      })}
    </>
  )
}
