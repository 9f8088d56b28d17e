import { Alert, Form, Input, Radio, type InputRef } from 'antd'
import { useRef } from 'react'
import { useTranslation } from 'react-i18next'
import type { Purpose, PurposeDraft, PurposeKind } from '../../api/types'
import { said as saidIn } from '../../said/said'
import { FormDialog } from '../../shared/FormDialog'
import { useSession } from '../session'
import { KINDS, MINUTES, useLastPurposes, useStatePurpose } from './purposes'

interface PurposeDialogProps {
  /** Why it opened by itself, in the server's words. */
  said?: string | undefined
  /** To go on with this one. */
  from?: Purpose | undefined
  onEnd: (stated: boolean) => void
}

/** Why one is going to look: kind, case, unit, for how long. Opens where it is needed, and is done with a few keys. */
export function PurposeDialog({ said, from, onEnd }: PurposeDialogProps) {
  const { t } = useTranslation()
  const [form] = Form.useForm<PurposeDraft>()
  const number = useRef<InputRef>(null)
  const session = useSession().data
  const last = useLastPurposes()
  const longest = session?.customs.purpose_minutes ?? 0
  const minutes = MINUTES.filter((one) => one <= longest)
  const presets = minutes.length > 0 ? minutes : [longest]
  const state = useStatePurpose(() => onEnd(true))
  const kind = Form.useWatch('kind', form) as PurposeKind | undefined
  const own = session?.user.organisation.name ?? ''
  const units = [...new Set([own, ...(last.data ?? []).map((one) => one.unit)])].filter(Boolean)
  const reuse = (one: Purpose) => {
    form.setFieldsValue({ kind: one.kind, case_no: one.case_no, unit: one.unit, note: one.note })
    number.current?.focus()
  }
  const needed = (message: string) => [{ required: true, whitespace: true, message }]
  return (
    <FormDialog<PurposeDraft>
      title={t('governance:purpose.state')}
      okText={t('governance:purpose.ok')}
      width={600}
      form={form}
      isSaving={state.isPending}
      onClose={() => onEnd(false)}
      initialValues={{
        kind: from?.kind,
        case_no: from?.case_no ?? '',
        unit: from?.unit ?? own,
        note: from?.note ?? '',
        minutes: presets.includes(60) ? 60 : presets[0],
      }}
      onFinish={(fields) => state.mutate(fields)}
    >
      {said ? <Alert className="reason-why" type="info" showIcon title={saidIn(said)} /> : null}
      {last.data && last.data.length > 0 ? (
        <div className="reason-last" role="group" aria-label={t('governance:purpose.last')}>
          <span className="muted">{t('governance:purpose.last')}</span>
          {last.data.map((one) => (
            <button key={one.id} type="button" className="pill" title={one.unit} onClick={() => reuse(one)}>
              {t(`governance:purpose.kind.${one.kind}`)} · <b>{one.case_no}</b>
            </button>
          ))}
        </div>
      ) : null}
      <Form.Item
        name="kind"
        label={t('governance:purpose.kind_label')}
        extra={kind === 'maintenance' ? t('governance:purpose.maintenance_hint') : null}
        rules={[{ required: true, message: t('governance:purpose.kind_needed') }]}
      >
        <Radio.Group
          className="reason-kinds"
          optionType="button"
          buttonStyle="solid"
          options={KINDS.map((value) => ({ value, label: t(`governance:purpose.kind.${value}`) }))}
        />
      </Form.Item>
      <Form.Item
        name="case_no"
        label={t('governance:purpose.case_no')}
        rules={needed(t('governance:purpose.case_needed'))}
      >
        <Input ref={number} maxLength={100} autoFocus />
      </Form.Item>
      <Form.Item
        name="unit"
        label={t('governance:purpose.unit')}
        rules={needed(t('governance:purpose.unit_needed'))}
      >
        <Input maxLength={100} list="purpose-units" />
      </Form.Item>
      <datalist id="purpose-units">
        {units.map((unit) => (
          <option key={unit} value={unit} />
        ))}
      </datalist>
      <Form.Item name="note" label={t('governance:purpose.note')}>
        <Input maxLength={500} />
      </Form.Item>
      <Form.Item name="minutes" label={t('governance:purpose.minutes')} className="reason-end">
        <Radio.Group
          optionType="button"
          buttonStyle="solid"
          options={presets.map((value) => ({
            value,
            label: t('governance:purpose.n_minutes', { n: value }),
          }))}
        />
      </Form.Item>
    </FormDialog>
  )
}
