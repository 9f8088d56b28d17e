import { useQuery } from '@tanstack/react-query'
import { Drawer, Form, Input } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched, urlOf } from '../../api/client'
import type { Breach, BreachStep, BreachStepDraft, Id } from '../../api/types'
import { Act } from '../../shared/Act'
import { Failed, Loading } from '../../shared/Face'
import { FormDialog } from '../../shared/FormDialog'
import { count, stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { sent, stepsFor } from './breaches'
import { Mark } from './Mark'
import { MomentItem } from './MomentItem'
import { Unreported } from './Unreported'

interface BreachDrawerProps {
  id: Id | null
  denied: string | null
  onEdit: (one: Breach) => void
  onClose: () => void
}

/** All of one breach: what is known, who was told, and drafts of the notices. */
export function BreachDrawer({ id, denied, onEdit, onClose }: BreachDrawerProps) {
  const { t } = useTranslation()
  const [step, setStep] = useState<BreachStep | null>(null)
  const breach = useQuery({
    queryKey: ['breach', id],
    enabled: id !== null,
    queryFn: ({ signal }) => fetched<Breach>('GET', `/breaches/${id ?? ''}`, { signal }),
  })
  const one = id === null ? undefined : breach.data
  const closed = one?.state === 'closed' ? t('governance:breach.is_closed') : null
  const reasonFor = (next: BreachStep) =>
    denied ??
    (next === 'notify' && one && one.lacking.length > 0
      ? t('governance:breach.lacking', {
          names: one.lacking.map((name) => t(`governance:breach.${name}`)).join(t('governance:breach.comma')),
        })
      : null)
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
      title={one?.title ?? t('governance:breach.one')}
      extra={one ? <Mark kind={one.state}>{t(`governance:breach.state.${one.state}`)}</Mark> : null}
      footer={
        one ? (
          <span className="row-acts">
            {stepsFor(one.state).map((next, n) => (
              <Act
                key={next}
                type={n === 0 ? 'primary' : 'default'}
                reason={reasonFor(next)}
                run={() => setStep(next)}
              >
                {t(`governance:breach.step.${next}`)}
              </Act>
            ))}
            <Act reason={denied ?? closed} run={() => onEdit(one)}>
              {t('governance:user.edit')}
            </Act>
          </span>
        ) : null
      }
    >
      {one ? (
        <Facts one={one} />
      ) : breach.error ? (
        <Failed error={breach.error} retry={() => void breach.refetch()} />
      ) : (
        <Loading />
      )}
      {step && one ? <StepForm one={one} step={step} onClose={() => setStep(null)} /> : null}
    </Drawer>
  )
}

function Facts({ one }: { one: Breach }) {
  const { t } = useTranslation()
  const open = t('governance:breach.unwritten')
  const facts: [label: string, value: React.ReactNode][] = [
    [t('governance:breach.clock'), <Unreported key="clock" breach={one} />],
    [t('governance:breach.unit'), one.organisation.name],
    [t('governance:breach.found_at'), stamp(one.found_at).slice(0, 16)],
    [
      t('governance:breach.happened'),
      `${stamp(one.from).slice(0, 16)} – ${one.to === null ? t('governance:breach.going_on') : stamp(one.to).slice(0, 16)}`,
    ],
    [t('governance:breach.what'), one.what],
    [
      t('governance:breach.kinds'),
      one.kinds.map((kind) => t(`governance:breach.kind.${kind}`)).join(t('governance:breach.comma')),
    ],
    [
      t('governance:breach.affected'),
      one.affected === null ? t('governance:breach.unknown') : count(one.affected),
    ],
    [t('governance:breach.cause'), one.cause || open],
    [t('governance:breach.harm'), one.harm || open],
    [t('governance:breach.measures'), one.measures || open],
    [t('governance:breach.advice'), one.advice || open],
    [t('governance:breach.contact'), one.contact],
    [t('governance:breach.kept_until'), one.kept_until === null ? '' : stamp(one.kept_until).slice(0, 10)],
  ]
  return (
    <>
      <dl className="reason-facts">
        {facts.map(([label, value]) =>
          value === '' ? null : (
            <div key={label} className="reason-fact">
              <dt>{label}</dt>
              <dd className="oversight-text">{value}</dd>
            </div>
          ),
        )}
      </dl>
      <h3>{t('governance:breach.steps')}</h3>
      <ol className="oversight-steps">
        <li>
          <b>{t('governance:breach.entered')}</b> {stamp(one.created_at).slice(0, 16)} · {one.created_by}
        </li>
        {one.steps.map((done) => (
          <li key={done.step}>
            <b>{t(`governance:breach.done.${done.step}`)}</b> {stamp(done.at).slice(0, 16)} · {done.by}
            <p className="oversight-text">{done.note}</p>
          </li>
        ))}
      </ol>
      <h3>{t('governance:breach.notices')}</h3>
      <p className="muted">{t('governance:breach.notices_hint')}</p>
      <ul className="oversight-notices">
        {(['authority', 'people'] as const).map((to) => (
          <li key={to}>
            <span>{t(`governance:breach.to_whom.${to}`)}</span>
            {(['zh-CN', 'en'] as const).map((language) => (
              <span key={language} className="duty-takes">
                <span className="muted">{t(`governance:breach.language.${language}`)}</span>
                <a
                  href={urlOf(`/breaches/${one.id}/${to}-notice.html`, { language })}
                  target="_blank"
                  rel="noreferrer"
                >
                  {t('governance:breach.page')}
                </a>
                <a href={urlOf(`/breaches/${one.id}/${to}-notice.txt`, { language })} download="">
                  {t('governance:breach.text')}
                </a>
              </span>
            ))}
          </li>
        ))}
      </ul>
    </>
  )
}

interface StepFields {
  at: string
  note: string
}

function StepForm({ one, step, onClose }: { one: Breach; step: BreachStep; onClose: () => void }) {
  const { t } = useTranslation()
  const save = useDo({
    run: ({ at, note }: StepFields) =>
      fetched<Breach>('POST', `/breaches/${one.id}/steps`, {
        json: {
          step,
          at: sent(at) ?? '',
          note: note.trim(),
          version: one.version,
        } satisfies BreachStepDraft,
      }),
    done: t(`governance:breach.done.${step}`),
    renew: [['breaches'], ['breach'], ['oversight']],
    then: onClose,
  })
  return (
    <FormDialog<StepFields>
      title={t(`governance:breach.step.${step}`)}
      okText={t('shared:save')}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={{ at: stamp(Date.now()), note: '' }}
      onFinish={(fields) => save.mutate(fields)}
    >
      <p className="muted oversight-about">{t(`governance:breach.step_hint.${step}.${one.state}`)}</p>
      <MomentItem name="at" label={t('governance:breach.at')} isNeeded />
      <Form.Item
        name="note"
        label={t(step === 'close' ? 'governance:breach.why_closed' : 'governance:breach.to_and_how')}
        rules={[{ required: true, whitespace: true, min: 2, message: t('governance:breach.needed') }]}
      >
        <Input.TextArea maxLength={1000} autoSize={{ minRows: 2, maxRows: 6 }} />
      </Form.Item>
    </FormDialog>
  )
}
