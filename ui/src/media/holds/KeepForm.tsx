import { Button, Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../../api/client'
import type { Hold, HoldDraft, Id, Kept } from '../../api/types'
import { paths } from '../../app/paths'
import { rangeText } from '../../shared/format'
import { FormDialog } from '../../shared/FormDialog'
import { useDo } from '../../shared/useDo'
import type { Stretch } from '../playback/axis'
import { ReasonField } from './ReasonField'
import { dayAhead, endOf, isReviewDay, OFFERED_DAYS, USUAL_DAYS } from './review'

interface Fields {
  reason: string
  review: string
}

interface KeepFormProps {
  point: { id: Id; name: string }
  stretch: Stretch
  /** What is held of it already. */
  held: readonly Hold[]
  onClose: () => void
}

/** Places a hold: what of which camera, why, and by when somebody looks at it again. */
export function KeepForm({ point, stretch, held, onClose }: KeepFormProps) {
  const { t } = useTranslation()
  const keep = useDo({
    run: ({ reason, review }: Fields) =>
      fetched<Kept>('POST', '/holds', {
        json: {
          point: point.id,
          start: new Date(stretch.start).toISOString(),
          end: new Date(stretch.end).toISOString(),
          reason: reason.trim(),
          review_at: endOf(review.trim()),
        } satisfies HoldDraft,
      }),
    done: t('media:hold.kept'),
    renew: [['timeline'], ['holds']],
    then: onClose,
  })
  return (
    <FormDialog<Fields>
      title={t('media:hold.keep_title')}
      okText={t('media:hold.keep_ok')}
      isSaving={keep.isPending}
      onClose={onClose}
      initialValues={{ review: dayAhead(USUAL_DAYS) }}
      onFinish={(fields) => keep.mutate(fields)}
    >
      <p className="hold-what">
        <b>{point.name}</b>
        <span>{rangeText(stretch.start, stretch.end)}</span>
        <Link to={paths.system({ tab: 'holds', point: point.id })}>{t('media:hold.all_of')}</Link>
      </p>
      {held.length > 0 ? (
        <div className="hold-known">
          <b>{t('media:hold.already')}</b>
          <ul>
            {held.map((one) => (
              <li key={one.id}>
                {rangeText(one.start, one.end)} · {one.reason}
              </li>
            ))}
          </ul>
        </div>
      ) : null}
      <ReasonField label={t('media:hold.reason')} hint={t('media:hold.reason_hint')} />
      <Form.Item
        name="review"
        label={t('media:hold.review')}
        extra={t('media:hold.review_hint')}
        rules={[
          {
            validator: (_, day: string) =>
              isReviewDay(day) ? Promise.resolve() : Promise.reject(new Error(t('media:hold.review_needed'))),
          },
        ]}
      >
        <ReviewDay />
      </Form.Item>
    </FormDialog>
  )
}

/** A day as one writes it, or one of those that are offered; Form.Item gives what it needs. */
function ReviewDay({
  id,
  value,
  onChange,
}: {
  id?: string
  value?: string
  onChange?: (day: string) => void
}) {
  const { t } = useTranslation()
  return (
    <span className="hold-days">
      <Input
        {...(id === undefined ? {} : { id })}
        className="mono"
        maxLength={10}
        placeholder="2026-12-31"
        value={value}
        onChange={(event) => onChange?.(event.target.value)}
      />
      {OFFERED_DAYS.map((days) => (
        <Button key={days} aria-pressed={value === dayAhead(days)} onClick={() => onChange?.(dayAhead(days))}>
          {t('media:hold.in_days', { n: days })}
        </Button>
      ))}
    </span>
  )
}
