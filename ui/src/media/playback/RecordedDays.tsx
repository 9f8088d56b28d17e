import { CalendarOutlined } from '@ant-design/icons'
import { useQuery } from '@tanstack/react-query'
import { Button, Popover } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Id, RecordedDay } from '../../api/types'
import { said } from '../../said/said'
import { DAY, HOUR, recordedShare } from './axis'
import { lengthText } from './TimeAxis'

const WEEK = [1, 2, 3, 4, 5, 6, 7] as const

interface MonthProps {
  point: Id
  at: () => number
  /** A day was chosen: the same time of that day, as one looks for something that happens daily. */
  onDay: (at: number) => void
}

interface RecordedDaysProps extends Omit<MonthProps, 'point'> {
  point: Id | null
  open: boolean
  onOpen: (open: boolean) => void
}

const civil = (at: number) => new Date(at + 8 * HOUR).toISOString()

/** A button to the calendar of the selected camera. */
export function RecordedDays({ point, open, onOpen, at, onDay }: RecordedDaysProps) {
  const { t } = useTranslation()
  const choose = (day: number) => {
    onOpen(false)
    onDay(day)
  }
  return (
    <Popover
      destroyOnHidden
      open={open && point !== null}
      trigger="click"
      placement="topLeft"
      content={point === null ? null : <Month key={point} point={point} at={at} onDay={choose} />}
      onOpenChange={onOpen}
    >
      <Button
        icon={<CalendarOutlined />}
        disabled={point === null}
        aria-label={t('media:play.calendar')}
        title={`${t('media:play.calendar')} (C)`}
      />
    </Popover>
  )
}

/** A month with what is recorded on each of its days: a bar as long as the day is complete. */
function Month({ point, at, onDay }: MonthProps) {
  const { t } = useTranslation()
  const [month, setMonth] = useState(() => civil(at()).slice(0, 7))
  const days = useQuery({
    queryKey: ['calendar', point, month],
    staleTime: 60_000,
    queryFn: ({ signal }) =>
      fetched<{ days: RecordedDay[] }>('GET', `/points/${point}/calendar`, { query: { month }, signal }),
  })
  const first = Date.parse(`${month}-01T00:00:00+08:00`)
  const amount = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 0)).getUTCDate()
  const lead = (new Date(`${month}-01T00:00:00Z`).getUTCDay() + 6) % 7
  const known = new Map(days.data?.days.map((day) => [day.date, day]))
  const turn = (by: number) => setMonth(civil(by < 0 ? first - DAY : first + amount * DAY).slice(0, 7))
  const now = civil(at()).slice(0, 10)
  return (
    <div className="days" aria-busy={days.isLoading}>
      <header>
        <Button size="small" type="text" onClick={() => turn(-1)} aria-label={t('media:play.month_before')}>
          ‹
        </Button>
        <b>{month}</b>
        <Button size="small" type="text" onClick={() => turn(1)} aria-label={t('media:play.month_after')}>
          ›
        </Button>
      </header>
      {days.error ? (
        <p className="play-fault" role="alert">
          {said(days.error.message)}{' '}
          <Button size="small" onClick={() => void days.refetch()}>
            {t('shared:face.retry')}
          </Button>
        </p>
      ) : null}
      <div className="days-grid">
        {WEEK.map((day) => (
          <small key={`weekday-${day}`}>{t(`media:play.weekday.${day}`)}</small>
        ))}
        {Array.from({ length: lead }, (_, n) => (
          <span key={`lead-${n}`} />
        ))}
        {Array.from({ length: amount }, (_, n) => {
          const date = `${month}-${String(n + 1).padStart(2, '0')}`
          const day = known.get(date)
          const share = day ? recordedShare(day) : 0
          const title =
            day && share > 0
              ? t('media:play.day_recorded', { date, n: lengthText(day.recorded_seconds * 1000, t) })
              : t('media:play.day_none', { date })
          return (
            <button
              key={date}
              type="button"
              title={title}
              aria-label={title}
              aria-current={date === now ? 'date' : undefined}
              disabled={share === 0}
              onClick={() => onDay(first + n * DAY + ((at() + 8 * HOUR) % DAY))}
            >
              {n + 1}
              {share > 0 ? <i style={{ width: `${share * 100}%` }} data-whole={share > 0.995} /> : null}
            </button>
          )
        })}
      </div>
    </div>
  )
}
