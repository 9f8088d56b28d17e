import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import type { PointState, StateSpan } from '../api/types'
import { age, dayClock } from '../shared/format'
import './registry.css'

interface Slice {
  state: PointState | 'none'
  start: number
  end: number
}

const WORSE: Record<Slice['state'], number> = { none: 0, online: 1, unknown: 2, offline: 3 }

/** Cuts `[from, to)` into `slots` equal slices; each takes the worst state that touches it. Milliseconds. */
export function slices(spans: readonly StateSpan[], from: number, to: number, slots: number): Slice[] {
  const step = (to - from) / slots
  const out: Slice[] = Array.from({ length: slots }, (_, i) => ({
    state: 'none',
    start: from + i * step,
    end: from + (i + 1) * step,
  }))
  for (const span of spans) {
    const start = Math.max(from, Date.parse(span.start))
    const end = Math.min(to, span.end === null ? to : Date.parse(span.end))
    if (!(end > start)) continue
    for (let i = Math.floor((start - from) / step); i < slots && from + i * step < end; i++) {
      const slice = out[i]
      if (slice && WORSE[span.state] > WORSE[slice.state]) slice.state = span.state
    }
  }
  return out
}

const SLOTS = 96
const UNKNOWN_LEAST_S = 120
const HEIGHT: Record<Slice['state'], [number, number]> = {
  none: [9, 2],
  online: [2, 16],
  unknown: [6, 8],
  offline: [0, 20],
}

/** A day of state in 96 quarter-hours: tall red is offline, short grey unknown, a dot where nothing is known. */
export function StateStrip({
  spans,
  hours,
  now,
  onOpen,
}: {
  spans: readonly StateSpan[]
  hours: number
  now: number
  /** Days before this one. */
  onOpen?: () => void
}) {
  const { t } = useTranslation()
  const minute = Math.floor(now / 60_000) * 60_000
  const day = useMemo(() => slices(spans, minute - hours * 3_600_000, minute, SLOTS), [spans, minute, hours])
  const lasted = (state: PointState) =>
    spans
      .filter((span) => span.state === state)
      .reduce((sum, { start, end }) => sum + (end === null ? now : Date.parse(end)) - Date.parse(start), 0) /
    1000
  const outages = spans.filter((span) => span.state === 'offline').length
  // Unknown is never counted as good: only a day that is known can have been steady.
  const unknown = Math.max(lasted('unknown'), hours * 3_600 - lasted('online') - lasted('offline'))
  const told = [
    outages > 0 ? t('registry:strip.outages', { count: outages, age: age(lasted('offline'), t) }) : '',
    unknown > UNKNOWN_LEAST_S ? t('registry:strip.unknown', { age: age(unknown, t) }) : '',
  ].filter(Boolean)
  const summary = told.length > 0 ? told.join(' · ') : t('registry:strip.steady', { hours })
  return (
    <figure className="strip">
      <svg viewBox={`0 0 ${SLOTS * 4} 20`} preserveAspectRatio="none" role="img" aria-label={summary}>
        {day.map(({ state, start, end }, i) => {
          const [y, height] = HEIGHT[state]
          return (
            <rect key={i} className={`strip-${state}`} x={i * 4} y={y} width="2.6" height={height}>
              <title>{`${dayClock(start)} – ${dayClock(end).slice(6)} ${state === 'none' ? t('registry:strip.none') : t(`shared:state.${state}`)}`}</title>
            </rect>
          )
        })}
      </svg>
      <figcaption>
        <span>{t('registry:strip.ago', { hours })}</span>
        {onOpen ? (
          <button type="button" className="link" onClick={onOpen}>
            {summary}
          </button>
        ) : (
          <span>{summary}</span>
        )}
        <span>{t('registry:strip.now')}</span>
      </figcaption>
    </figure>
  )
}
