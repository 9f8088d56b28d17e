import { useQuery } from '@tanstack/react-query'
import { Drawer, Form, Input } from 'antd'
import { Fragment, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched, urlOf } from '../../api/client'
import type { Agreement, AgreementStep, AgreementStepDraft, Id } from '../../api/types'
import { paths } from '../../app/paths'
import { Act } from '../../shared/Act'
import { Failed, Loading } from '../../shared/Face'
import { FormDialog } from '../../shared/FormDialog'
import { stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { useCan, useSession } from '../session'
import { AgreementClock } from './AgreementsList'
import { needsSecond, stepsFor } from './agreements'
import { useShareable } from './shareable'
import './agreements.css'

interface AgreementDrawerProps {
  id: Id | null
  denied: string | null
  onEdit: (one: Agreement) => void
  onClose: () => void
}

/** All of one agreement, what can be done with it, and what was pulled by it. */
export function AgreementDrawer({ id, denied, onEdit, onClose }: AgreementDrawerProps) {
  const { t } = useTranslation()
  const can = useCan()
  const me = useSession().data?.user.id
  const [step, setStep] = useState<AgreementStep | null>(null)
  const found = useQuery({
    queryKey: ['sharing', id],
    enabled: id !== null,
    queryFn: ({ signal }) => fetched<Agreement>('GET', `/sharing/${id ?? ''}`, { signal }),
  })
  const one = id === null ? undefined : found.data
  const reasonFor = (next: AgreementStep): string | null => {
    if (!needsSecond(next)) return can.approve ? null : denied
    if (!can.approve) return t('governance:agreement.second_needed')
    return one?.written_by.id === me ? t('governance:agreement.not_yourself') : null
  }
  return (
    <Drawer
      open={id !== null}
      onClose={onClose}
      size={560}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{ wrapper: { maxWidth: '100%' } }}
      destroyOnHidden
      title={one ? one.department : t('governance:agreement.one')}
      extra={one ? <AgreementClock one={one} /> : null}
      footer={
        one ? (
          <span className="row-acts">
            {stepsFor(one.state).map((next, n) => (
              <Act
                key={next}
                type={n === 0 && needsSecond(next) ? 'primary' : 'default'}
                reason={reasonFor(next)}
                run={() => setStep(next)}
              >
                {t(`governance:agreement.step.${next}`)}
              </Act>
            ))}
            <Act
              reason={denied ?? (one.state === 'draft' ? null : t('governance:agreement.is_approved'))}
              run={() => onEdit(one)}
            >
              {t('governance:user.edit')}
            </Act>
          </span>
        ) : null
      }
    >
      {one ? (
        <Facts one={one} mayAudit={can.read_ledger} />
      ) : found.error ? (
        <Failed error={found.error} retry={() => void found.refetch()} />
      ) : (
        <Loading />
      )}
      {step && one ? <StepForm one={one} step={step} onClose={() => setStep(null)} /> : null}
    </Drawer>
  )
}

function Facts({ one, mayAudit }: { one: Agreement; mayAudit: boolean }) {
  const { t } = useTranslation()
  const labels = useShareable().labels
  const comma = t('governance:breach.comma')
  const narrowed = [
    one.classes.map((each) => t(`shared:class.${each}`)).join(comma),
    one.kinds.map((each) => t(`shared:kind.${each}`, { defaultValue: each })).join(comma),
    one.departments.join(comma),
    one.zones.join(comma),
  ].filter((text) => text !== '')
  const facts: [label: string, value: ReactNode][] = [
    [t('governance:agreement.unit'), one.unit],
    [t('governance:agreement.contact'), one.contact],
    [t('governance:agreement.number'), one.number],
    [t('governance:agreement.legal_basis'), one.legal_basis],
    [t('governance:agreement.kind'), t(`governance:purpose.kind.${one.kind}`)],
    [t('governance:agreement.purpose'), one.purpose],
    [t('governance:agreement.days'), `${one.from} – ${one.until}`],
    [t('governance:agreement.points'), [one.organisation.name, ...narrowed].join(' · ')],
    [
      t('governance:agreement.actions'),
      one.actions.map((each) => t(`governance:action.${each}`)).join(comma),
    ],
    [
      t('governance:agreement.fields'),
      one.fields.length === 0
        ? t('governance:agreement.no_fields')
        : one.fields.map((key) => labels.get(key) ?? key).join(comma),
    ],
    [
      t('governance:agreement.accounts'),
      <span key="accounts" className="mono">
        {one.accounts.map(({ name }) => name).join(', ')}
      </span>,
    ],
  ]
  return (
    <>
      <dl className="reason-facts">
        {facts.map(([label, value]) => (
          <Fragment key={label}>
            <dt>{label}</dt>
            <dd className="agreement-text">{value}</dd>
          </Fragment>
        ))}
      </dl>
      <h3>{t('governance:agreement.steps')}</h3>
      <ol className="agreement-steps">
        <li>
          <b>{t('governance:agreement.written')}</b> {stamp(one.created_at).slice(0, 16)} ·{' '}
          {one.written_by.name}
        </li>
        {one.steps.map((done) => (
          <li key={`${done.step}${done.at}`}>
            <b>{t(`governance:agreement.done.${done.step}`)}</b> {stamp(done.at).slice(0, 16)} · {done.by}
            {done.note ? <p className="agreement-text">{done.note}</p> : null}
          </li>
        ))}
      </ol>
      <h3>{t('governance:agreement.pulls')}</h3>
      <p className="muted">{t('governance:agreement.pulls_hint')}</p>
      {mayAudit ? (
        <span className="duty-takes">
          <Link to={paths.ledger({ kind: 'pulled', object: one.id })}>
            {t('governance:agreement.in_ledger')}
          </Link>
          <a href={urlOf(`/sharing/${one.id}/pulls.csv`)} download="">
            {t('governance:duty.take.csv')}
          </a>
        </span>
      ) : (
        <p className="muted">{t('governance:agreement.auditors')}</p>
      )}
    </>
  )
}

interface StepFields {
  note: string
}

function StepForm({ one, step, onClose }: { one: Agreement; step: AgreementStep; onClose: () => void }) {
  const { t } = useTranslation()
  const save = useDo({
    run: ({ note }: StepFields) =>
      fetched<Agreement>('POST', `/sharing/${one.id}/steps`, {
        json: { step, note: note.trim(), version: one.version } satisfies AgreementStepDraft,
      }),
    done: t(`governance:agreement.done.${step}`),
    renew: [['sharing']],
    then: onClose,
  })
  return (
    <FormDialog<StepFields>
      title={t(`governance:agreement.step.${step}`)}
      okText={t(`governance:agreement.step.${step}`)}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={{ note: '' }}
      onFinish={(fields) => save.mutate(fields)}
    >
      <p className="muted">{t(`governance:agreement.step_hint.${step}`)}</p>
      <Form.Item
        name="note"
        label={t('governance:agreement.note')}
        rules={
          step === 'approve'
            ? []
            : [{ required: true, whitespace: true, message: t('governance:breach.needed') }]
        }
      >
        <Input.TextArea maxLength={1000} autoSize={{ minRows: 2, maxRows: 6 }} autoFocus />
      </Form.Item>
    </FormDialog>
  )
}
