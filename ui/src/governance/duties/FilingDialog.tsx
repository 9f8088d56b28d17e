import { Form, Input, Modal } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched, urlOf } from '../../api/client'
import type { FilingForm, Receipt, VideoSystem } from '../../api/types'
import { Act } from '../../shared/Act'
import { Face, Failed, Loading } from '../../shared/Face'
import { FormDialog } from '../../shared/FormDialog'
import { count, stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'
import { DayItem } from '../rights/DayItem'
import { dayOf } from '../rights/grants'
import { Clock } from './Clock'
import { changeKey } from './duties'

const KINDS = ['html', 'xlsx', 'csv'] as const

interface FilingDialogProps {
  system: VideoSystem
  denied: string | null
  onClose: () => void
}

/** A system's filing: what has changed since, its forms, and their receipts. */
export function FilingDialog({ system, denied, onClose }: FilingDialogProps) {
  const { t } = useTranslation()
  const key = `filing-forms/${system.id}`
  const forms = usePages<FilingForm>(key, `/video-systems/${system.id}/forms`)
  const [receiving, setReceiving] = useState<FilingForm | null>(null)
  const make = useDo({
    run: ({ id }: VideoSystem) => fetched<FilingForm>('POST', `/video-systems/${id}/forms`),
    done: t('governance:duty.made'),
    renew: [[key]],
  })
  const { filing } = system
  const isFree = filing.state === 'not_needed' ? t(`governance:duty.owes.${system.regime}`) : null
  return (
    <Modal
      open
      width={760}
      footer={null}
      title={t('governance:duty.filing_of', { name: system.name })}
      onCancel={onClose}
    >
      <p>
        <Clock filing={filing} />{' '}
        <span className="muted">
          {filing.due_on
            ? t('governance:duty.due_on', { day: filing.due_on })
            : filing.receipt_no
              ? t('governance:duty.receipt_of', { no: filing.receipt_no, day: filing.filed_on })
              : isFree}
        </span>
      </p>
      {filing.changes.length > 0 ? (
        <dl className="duty-changes" aria-label={t('governance:duty.clock.changed')}>
          {filing.changes.map((change) => (
            <div key={change.what + change.kind} style={{ display: 'contents' }}>
              <dt>{t(changeKey(change))}</dt>
              <dd>
                {change.before} → <b>{change.now}</b>
              </dd>
            </div>
          ))}
        </dl>
      ) : null}
      <p className="muted duty-hint">{t('governance:duty.form_hint')}</p>
      <Act type="primary" reason={denied ?? isFree} loading={make.isPending} run={() => make.mutate(system)}>
        {t('governance:duty.make')}
      </Act>
      {forms.error ? <Failed error={forms.error} retry={() => void forms.refetch()} /> : null}
      {forms.isPending ? <Loading /> : null}
      {forms.data && forms.rows.length === 0 ? (
        <Face kind="empty" text={t('governance:duty.no_forms')} />
      ) : null}
      <ul className="duty-forms" aria-label={t('governance:duty.forms')}>
        {forms.rows.map((form) => (
          <li key={form.id}>
            <span>
              {t('governance:duty.made_at', { at: stamp(form.made_at), by: form.made_by })}
              <br />
              <span className="muted">
                {t('governance:duty.total', { n: count(form.total) })} ·{' '}
                {form.receipt_no
                  ? t('governance:duty.receipt_of', { no: form.receipt_no, day: form.filed_on })
                  : t('governance:duty.no_receipt')}
              </span>
            </span>
            <span className="duty-takes">
              {KINDS.map((kind) => (
                <a
                  key={kind}
                  href={urlOf(`/filing-forms/${form.id}/form.${kind}`)}
                  {...(kind === 'html' ? { target: '_blank', rel: 'noreferrer' } : { download: '' })}
                >
                  {t(`governance:duty.take.${kind}`)}
                </a>
              ))}
            </span>
            <Act size="small" reason={denied} run={() => setReceiving(form)}>
              {t('governance:duty.enter_receipt')}
            </Act>
          </li>
        ))}
      </ul>
      {forms.hasNextPage ? (
        <Act size="small" loading={forms.isFetching} run={forms.onEnd}>
          {t('governance:duty.more')}
        </Act>
      ) : null}
      {receiving ? <ReceiptForm form={receiving} renew={key} onClose={() => setReceiving(null)} /> : null}
    </Modal>
  )
}

interface ReceiptFormProps {
  form: FilingForm
  renew: string
  onClose: () => void
}

function ReceiptForm({ form, renew, onClose }: ReceiptFormProps) {
  const { t } = useTranslation()
  const save = useDo({
    run: (receipt: Receipt) =>
      fetched<FilingForm>('PUT', `/filing-forms/${form.id}/receipt`, { json: receipt }),
    done: t('governance:duty.saved'),
    renew: [[renew], ['video-systems']],
    then: onClose,
  })
  return (
    <FormDialog<Receipt>
      title={t('governance:duty.receipt_title', { at: stamp(form.made_at) })}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={{
        receipt_no: form.receipt_no,
        filed_on: form.filed_on ?? dayOf(Date.now()),
      }}
      onFinish={(receipt) => save.mutate(receipt)}
    >
      <Form.Item
        name="receipt_no"
        label={t('governance:duty.receipt_no')}
        rules={[{ required: true, whitespace: true, message: t('governance:duty.receipt_needed') }]}
      >
        <Input maxLength={100} autoFocus />
      </Form.Item>
      <DayItem name="filed_on" label={t('governance:duty.filed_on')} isNeeded />
    </FormDialog>
  )
}
