import type { OnlineDay, StateSpan } from '../api/types'

const DAY = 86_400_000
const OFFSET = 8 * 3_600_000

/** The moment at which the civil day (China) of `at` begins. */
export const midnight = (at: number): number => Math.floor((at + OFFSET) / DAY) * DAY - OFFSET

/** Where the last `days` civil days begin, today's being the last of them. */
export const begin = (now: number, days: number): number => midnight(now) - (days - 1) * DAY

/** `2026-11-30` as `[start, end)` in ms; the day that is not over ends now. */
export function spanOfDay(day: string, now: number): { from: number; to: number } {
  const from = Date.parse(`${day}T00:00:00+08:00`)
  return { from, to: Math.min(from + DAY, now) }
}

export interface Parts {
  online_s: number
  offline_s: number
  unknown_s: number
}

export const sum = (days: readonly Parts[]): Parts =>
  days.reduce(
    (all, day) => ({
      online_s: all.online_s + day.online_s,
      offline_s: all.offline_s + day.offline_s,
      unknown_s: all.unknown_s + day.unknown_s,
    }),
    { online_s: 0, offline_s: 0, unknown_s: 0 },
  )

const BLINK_S = 0.5

/** Share of the time online, 0 to 1; unknown is never counted as good. Null where there was no time at all. */
export function share({ online_s, offline_s, unknown_s }: Parts): number | null {
  const all = online_s + offline_s + unknown_s
  return all > 0 ? online_s / all : null
}

/** `97.2 %`; `100 %` only where nothing was missing, and never `0.0 %` where something was there. */
export function percent(parts: Parts): string {
  const part = share(parts)
  if (part === null) return '–'
  if (parts.offline_s + parts.unknown_s < BLINK_S) return '100 %'
  if (part === 0) return '0 %'
  return `${Math.max(0.1, Math.min(99.9, Math.floor(part * 1000) / 10)).toFixed(1)} %`
}

/** Every civil day from `from` to `now`; a day that nothing is known of is unknown as a whole. */
export function allDays(known: readonly OnlineDay[], from: number, now: number): OnlineDay[] {
  const by = new Map(known.map((one) => [one.day, one]))
  const out: OnlineDay[] = []
  for (let at = midnight(from); at < now; at += DAY) {
    const day = new Date(at + OFFSET).toISOString().slice(0, 10)
    const whole = (Math.min(at + DAY, now) - at) / 1000
    out.push(by.get(day) ?? { day, online_s: 0, offline_s: 0, unknown_s: whole })
  }
  return out
}

/** Whether anything is written down of that time. */
export const isKnown = ({ online_s, offline_s }: Parts): boolean => online_s + offline_s > 0

/** How often it was lost in these stretches. */
export const outages = (spans: readonly StateSpan[]): number =>
  spans.filter((span) => span.state === 'offline').length
