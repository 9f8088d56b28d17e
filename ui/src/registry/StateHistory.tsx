import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Button, Segmented } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../api/client'
import type { History, Id, Online, OnlineDay, StateSpan } from '../api/types'
import { paths } from '../app/paths'
import { Face, Failed, Loading } from '../shared/Face'
import { age, clock, count } from '../shared/format'
import { StateMark } from '../shared/StateMark'
import { useNow } from '../shared/useNow'
import { allDays, begin, isKnown, outages, percent, spanOfDay, sum, type Parts } from './days'
import './history.css'

const RANGES = [7, 30, 90] as const
const PAGE = 200
const MINUTE = 60_000
/** Recordings are looked at from a little before the moment something happened. */
const BEFORE_MS = 15_000

export interface Subject {
  of: 'points' | 'devices'
  id: Id
  /** Whose recordings show what happened then. */
  playback?: boolean
}

/** When something was online, by days; a day opens into its changes, a change into why and what was to be seen. */
export function StateHistory({ subject }: { subject: Subject }) {
  const { t } = useTranslation()
  const now = Math.floor(useNow(10_000) / MINUTE) * MINUTE
  const [range, setRange] = useState<number>(7)
  const [chosen, setChosen] = useState<string | null>(null)
  const from = begin(now, range)
  const online = useQuery({
    queryKey: ['online', subject.of, subject.id, from],
    placeholderData: keepPreviousData,
    refetchInterval: MINUTE,
    queryFn: ({ signal }) =>
      fetched<Online>('GET', `/${subject.of}/${subject.id}/online`, {
        query: { from: new Date(from).toISOString() },
        signal,
      }),
  })
  if (online.error) return <Failed error={online.error} retry={() => void online.refetch()} />
  if (!online.data) return <Loading />
  const days = allDays(online.data.days, from, Math.max(now, from + 1)).reverse()
  const whole = sum(days.filter(isKnown))
  return (
    <section className="history" aria-label={t('registry:history.title')}>
      <header>
        <b title={t('registry:history.share_means')}>
          {t('registry:history.share', { share: percent(whole) })}
        </b>
        <span className="muted">{told(whole)}</span>
        <Segmented<number>
          size="small"
          value={range}
          onChange={setRange}
          aria-label={t('registry:history.range')}
          options={RANGES.map((value) => ({ value, label: t('registry:history.days', { n: value }) }))}
        />
      </header>
      <ol>
        {days.map((day) => (
          <li key={day.day}>
            <button
              type="button"
              className="history-day"
              aria-expanded={chosen === day.day}
              onClick={() => setChosen(chosen === day.day ? null : day.day)}
            >
              <time dateTime={day.day}>{day.day.slice(5)}</time>
              <DayBar day={day} label={told(day)} />
              <span>{isKnown(day) ? percent(day) : t('registry:history.unwritten')}</span>
            </button>
            {chosen === day.day ? <Day subject={subject} day={day.day} now={now} /> : null}
          </li>
        ))}
      </ol>
    </section>
  )

  function told({ online_s, offline_s, unknown_s }: Parts): string {
    return [
      online_s >= 1 ? t('registry:history.online_for', { age: age(online_s, t) }) : '',
      offline_s >= 1 ? t('registry:history.offline_for', { age: age(offline_s, t) }) : '',
      unknown_s >= 1 ? t('registry:history.unknown_for', { age: age(unknown_s, t) }) : '',
    ]
      .filter(Boolean)
      .join(' · ')
  }
}

/** What share of a day it was in which state: full height offline, half height online, low unknown. */
function DayBar({ day, label }: { day: OnlineDay; label: string }) {
  const all = day.online_s + day.offline_s + day.unknown_s || 1
  return (
    <span className="history-bar" role="img" aria-label={label} title={label}>
      {(['online', 'unknown', 'offline'] as const).map((state) => {
        const part = day[`${state}_s`] / all
        return part > 0 ? (
          <i key={state} className={`bar-${state}`} style={{ flexGrow: part, minWidth: 2 }} />
        ) : null
      })}
    </span>
  )
}

function Day({ subject, day, now }: { subject: Subject; day: string; now: number }) {
  const { t } = useTranslation()
  const { from, to } = spanOfDay(day, now)
  const changes = useInfiniteQuery({
    queryKey: ['history', subject.id, subject.of, day, to],
    initialPageParam: null as string | null,
    placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) =>
      fetched<History>('GET', `/${subject.of}/${subject.id}/history`, {
        query: {
          from: new Date(from).toISOString(),
          to: new Date(to).toISOString(),
          limit: PAGE,
          cursor: pageParam,
        },
        signal,
      }),
    getNextPageParam: (last) => last.next,
  })
  if (changes.error) return <Failed error={changes.error} retry={() => void changes.refetch()} />
  if (!changes.data) return <Loading />
  const spans = changes.data.pages.flatMap((page) => page.spans)
  if (spans.length === 0) return <Face kind="empty" text={t('registry:history.nothing')} />
  const lost = outages(spans)
  return (
    <div className="history-changes">
      <Timeline spans={spans} from={from} now={now} />
      <p className="muted">
        {lost === 0
          ? t('registry:history.no_outage')
          : t('registry:history.outages', { count: lost, n: count(lost) })}
      </p>
      <ul>
        {spans.map((span) => (
          <Change key={`${span.start}${span.reason}`} span={span} subject={subject} now={now} />
        ))}
      </ul>
      {changes.hasNextPage ? (
        <Button
          size="small"
          loading={changes.isFetchingNextPage}
          onClick={() => void changes.fetchNextPage()}
        >
          {t('registry:history.more')}
        </Button>
      ) : null}
    </div>
  )
}

const HOURS = 24
const WIDTH = 960

/** The 24 hours of a day; what has not come yet stays empty. */
function Timeline({ spans, from, now }: { spans: readonly StateSpan[]; from: number; now: number }) {
  const { t } = useTranslation()
  const scale = WIDTH / (HOURS * 60 * MINUTE)
  const high = { online: [6, 10], unknown: [9, 4], offline: [0, 22] } as const
  return (
    <figure className="history-line">
      <svg
        viewBox={`0 0 ${WIDTH} 22`}
        preserveAspectRatio="none"
        role="img"
        aria-label={t('registry:history.line')}
      >
        {spans.map((span) => {
          const start = Math.max(from, Date.parse(span.start))
          const end = span.end === null ? now : Date.parse(span.end)
          const [y, height] = high[span.state]
          return (
            <rect
              key={span.start + span.reason}
              className={`strip-${span.state}`}
              x={(start - from) * scale}
              width={Math.max(1.5, (end - start) * scale)}
              y={y}
              height={height}
            >
              <title>{`${clock(start)} – ${clock(end)} ${t(`shared:state.${span.state}`)}`}</title>
            </rect>
          )
        })}
      </svg>
      <figcaption aria-hidden>
        {[0, 6, 12, 18, 24].map((hour) => (
          <span key={hour}>{`${String(hour).padStart(2, '0')}:00`}</span>
        ))}
      </figcaption>
    </figure>
  )
}

/** One stretch: how long, why it was believed, which device took it along, and the recording of that moment. */
function Change({ span, subject, now }: { span: StateSpan; subject: Subject; now: number }) {
  const { t } = useTranslation()
  const start = Date.parse(span.start)
  const end = span.end === null ? now : Date.parse(span.end)
  return (
    <li>
      <StateMark state={span.state} label />
      <span className="history-when">
        {`${clock(start)} – ${span.end === null ? t('registry:strip.now') : clock(end)}`}
        <i className="muted">{age(Math.max(0, end - start) / 1000, t)}</i>
      </span>
      <p>
        {t(`registry:why.${span.reason || 'unwritten'}`, { defaultValue: span.reason })}{' '}
        {span.cause ? (
          <Link to={paths.devices({ tab: 'adopted', device: span.cause })}>
            {t('registry:history.cause')}
          </Link>
        ) : null}{' '}
        {subject.playback && subject.of === 'points' ? (
          <Link to={paths.playback([subject.id], new Date(start - BEFORE_MS).toISOString())}>
            {t('registry:history.then')}
          </Link>
        ) : null}
      </p>
    </li>
  )
}
