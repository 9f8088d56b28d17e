import { useMemo, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { Assessment } from '../../api/types'
import { Act } from '../../shared/Act'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { Two } from '../duties/Two'
import { useCan } from '../session'
import { AssessmentDrawer } from './AssessmentDrawer'
import { AssessmentForm, type Editing } from './AssessmentForm'
import { clockOf, pressOf } from './assessments'

/** Impact assessments; what is overdue for review stands first. */
export function AssessmentsList({ denied, children }: { denied: string | null; children: ReactNode }) {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const list = usePages<Assessment>('assessments', '/assessments')
  const [editing, setEditing] = useState<Editing | null>(null)
  const columns = useMemo<Column<Assessment>[]>(
    () => [
      {
        key: 'review',
        title: t('governance:assessment.review_label'),
        width: '230px',
        render: (one) => (
          <Two
            first={<ReviewClock one={one} />}
            second={t('governance:assessment.by', { day: one.review_by })}
          />
        ),
      },
      {
        key: 'subject',
        title: t('governance:assessment.subject'),
        width: 'minmax(200px, 1.6fr)',
        render: ({ subject, edition }) => (
          <Two
            first={<b title={subject}>{subject}</b>}
            second={t('governance:assessment.edition_n', { n: edition })}
          />
        ),
      },
      {
        key: 'unit',
        title: t('governance:assessment.unit'),
        width: 'minmax(170px, 1.2fr)',
        render: ({ organisation, system }) => (
          <Two
            first={<span title={organisation.name}>{organisation.name}</span>}
            second={<span title={system?.name}>{system?.name ?? t('governance:assessment.no_system')}</span>}
          />
        ),
      },
      {
        key: 'conclusion',
        title: t('governance:assessment.conclusion'),
        width: 'minmax(160px, 1.4fr)',
        render: ({ conclusion }) => <span title={conclusion}>{conclusion}</span>,
      },
      {
        key: 'people',
        title: t('governance:assessment.people'),
        width: 'minmax(150px, 1fr)',
        render: ({ author, approval }) => (
          <Two
            first={
              <span className="mono" title={author}>
                {author}
              </span>
            }
            second={
              <span title={approval?.by}>
                {approval
                  ? t('governance:assessment.approved_by', { who: approval.by })
                  : t('governance:assessment.nobody')}
              </span>
            }
          />
        ),
      },
    ],
    [t],
  )
  if (!can.read_duties)
    return (
      <>
        <div className="page-bar">{children}</div>
        <Face kind="forbidden" text={t('shared:not_allowed')} detail={t('shared:face.ask_admin')} />
      </>
    )
  return (
    <>
      <ListPage
        list={list}
        label={t('governance:assessment.title')}
        columns={columns}
        rowKey={({ id }) => id}
        rowHeight={56}
        selected={search.get('open')}
        onOpen={({ id }) => put({ open: id })}
        empty={
          <Face
            kind="empty"
            text={t('governance:assessment.none')}
            detail={t('governance:assessment.lead')}
          />
        }
      >
        {children}
        <Act type="primary" reason={denied} run={() => setEditing({ one: null, isNew: true })}>
          {t('governance:assessment.add')}
        </Act>
      </ListPage>
      <AssessmentDrawer
        id={search.get('open')}
        denied={denied}
        onEdit={setEditing}
        onClose={() => put({ open: null })}
      />
      {editing ? (
        <AssessmentForm
          {...editing}
          onSaved={({ id }) => put({ open: id })}
          onClose={() => setEditing(null)}
        />
      ) : null}
    </>
  )
}

/** Where it stands with its review, in colour, shape and words. */
export function ReviewClock({ one }: { one: Assessment }) {
  const { t } = useTranslation()
  const [key, n] = clockOf(one)
  return (
    <span className={`duty-clock duty-${pressOf(one.review)}`}>
      {t(`governance:assessment.review.${key}`, { n })}
    </span>
  )
}
