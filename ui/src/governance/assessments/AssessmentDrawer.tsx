import { useQuery } from '@tanstack/react-query'
import { Drawer, Form, Input } from 'antd'
import { Fragment, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched, urlOf } from '../../api/client'
import type { Assessment, AssessmentApprovalDraft, Id } from '../../api/types'
import { Act } from '../../shared/Act'
import { Failed, Loading } from '../../shared/Face'
import { FormDialog } from '../../shared/FormDialog'
import { stamp } from '../../shared/format'
import { useAddress } from '../../shared/useAddress'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'
import { useCan } from '../session'
import type { Editing } from './AssessmentForm'
import { ReviewClock } from './AssessmentsList'
import '../sharing/agreements.css'
import './assessments.css'

const LANGUAGES = ['zh-CN', 'en'] as const

interface AssessmentDrawerProps {
  id: Id | null
  denied: string | null
  onEdit: (editing: Editing) => void
  onClose: () => void
}

/** All of one edition, what can be done with it, and its other editions. */
export function AssessmentDrawer({ id, denied, onEdit, onClose }: AssessmentDrawerProps) {
  const { t } = useTranslation()
  const can = useCan()
  const [isApproving, setApproving] = useState(false)
  const found = useQuery({
    queryKey: ['assessments', 'one', id],
    enabled: id !== null,
    queryFn: ({ signal }) => fetched<Assessment>('GET', `/assessments/${id ?? ''}`, { signal }),
  })
  const one = id === null ? undefined : found.data
  return (
    <Drawer
      open={id !== null}
      onClose={onClose}
      size={600}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{ wrapper: { maxWidth: '100%' } }}
      destroyOnHidden
      title={one ? <span className="assessment-title">{one.subject}</span> : t('governance:assessment.one')}
      extra={one ? <ReviewClock one={one} /> : null}
      footer={
        one ? (
          <span className="row-acts assessment-acts">
            {one.state === 'draft' ? (
              <>
                <Act
                  type="primary"
                  reason={
                    !can.approve
                      ? t('governance:agreement.second_needed')
                      : one.is_writer
                        ? t('governance:assessment.not_yourself')
                        : null
                  }
                  run={() => setApproving(true)}
                >
                  {t('governance:agreement.step.approve')}
                </Act>
                <Act reason={denied} run={() => onEdit({ one, isNew: false })}>
                  {t('governance:user.edit')}
                </Act>
              </>
            ) : (
              <Act
                type="primary"
                reason={
                  denied ?? (one.state === 'superseded' ? t('governance:assessment.is_superseded') : null)
                }
                run={() => onEdit({ one, isNew: true })}
              >
                {t('governance:assessment.revise')}
              </Act>
            )}
            {LANGUAGES.map((language) => (
              <a
                key={language}
                href={urlOf(`/assessments/${one.id}/assessment.html`, { language })}
                target="_blank"
                rel="noreferrer"
              >
                {t(`governance:assessment.print.${language}`)}
              </a>
            ))}
          </span>
        ) : null
      }
    >
      {one ? (
        <Facts one={one} />
      ) : found.error ? (
        <Failed error={found.error} retry={() => void found.refetch()} />
      ) : (
        <Loading />
      )}
      {isApproving && one ? <ApproveForm one={one} onClose={() => setApproving(false)} /> : null}
    </Drawer>
  )
}

function Facts({ one }: { one: Assessment }) {
  const { t } = useTranslation()
  const { approval } = one
  const facts: [label: string, value: ReactNode][] = [
    [t('governance:assessment.unit'), one.organisation.name],
    [t('governance:assessment.system'), one.system?.name ?? t('governance:assessment.no_system')],
    [t('governance:assessment.edition'), one.edition],
    [t('governance:assessment.necessity'), one.necessity],
    [t('governance:assessment.risks'), one.risks],
    [t('governance:assessment.measures'), one.measures],
    [t('governance:assessment.conclusion'), one.conclusion],
    [t('governance:assessment.made_on'), one.made_on],
    [t('governance:assessment.review_by'), one.review_by],
    [t('governance:assessment.author'), one.author],
    [
      t('governance:assessment.approval'),
      approval
        ? `${approval.by} · ${stamp(approval.at).slice(0, 16)}${approval.note ? `\n${approval.note}` : ''}`
        : t('governance:assessment.nobody'),
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
      <Editions one={one} />
    </>
  )
}

function Editions({ one }: { one: Assessment }) {
  const { t } = useTranslation()
  const [, , put] = useAddress()
  const list = usePages<Assessment>('assessments', '/assessments', { first: one.first })
  return (
    <>
      <h3>{t('governance:assessment.editions')}</h3>
      {list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : null}
      <ul className="agreement-steps">
        {list.rows.map((each) => (
          <li key={each.id}>
            {each.id === one.id ? (
              <span className="assessment-here" aria-current="true">
                {t('governance:assessment.edition_n', { n: each.edition })}
              </span>
            ) : (
              <button type="button" className="duty-link" onClick={() => put({ open: each.id })}>
                {t('governance:assessment.edition_n', { n: each.edition })}
              </button>
            )}{' '}
            · {each.made_on} · <ReviewClock one={each} />
          </li>
        ))}
      </ul>
      {list.hasNextPage ? (
        <Act size="small" loading={list.isFetching} run={list.onEnd}>
          {t('governance:duty.more')}
        </Act>
      ) : null}
      <p className="muted">{t('governance:assessment.kept')}</p>
    </>
  )
}

interface ApproveFields {
  note: string
}

function ApproveForm({ one, onClose }: { one: Assessment; onClose: () => void }) {
  const { t } = useTranslation()
  const save = useDo({
    run: ({ note }: ApproveFields) =>
      fetched<Assessment>('POST', `/assessments/${one.id}/approval`, {
        json: { note: note.trim(), version: one.version } satisfies AssessmentApprovalDraft,
      }),
    done: t('governance:agreement.done.approve'),
    renew: [['assessments']],
    then: onClose,
  })
  return (
    <FormDialog<ApproveFields>
      title={t('governance:assessment.approve_title', { name: one.subject })}
      okText={t('governance:agreement.step.approve')}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={{ note: '' }}
      onFinish={(fields) => save.mutate(fields)}
    >
      <p className="muted">{t('governance:assessment.approve_hint')}</p>
      <Form.Item name="note" label={t('governance:agreement.note')}>
        <Input.TextArea maxLength={1000} autoSize={{ minRows: 2, maxRows: 6 }} autoFocus />
      </Form.Item>
    </FormDialog>
  )
}
