/** The arithmetic of the time axis: milliseconds since 1970, pixels from the left edge of the bars. */

export interface View {
  from: number
  to: number
}

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
export const NARROWEST = 30 * MINUTE
export const WIDEST = 30 * DAY
/** China's civil time has no summer time, so days are days. */
const OFFSET = 8 * HOUR

export const SPANS = [
  ['30m', 30 * MINUTE],
  ['2h', 2 * HOUR],
  ['6h', 6 * HOUR],
  ['1d', DAY],
  ['7d', 7 * DAY],
  ['30d', 30 * DAY],
] as const

/** The usual span that is next shorter (by −1) or longer (by 1) than this one. */
export function nextSpan(span: number, by: -1 | 1): number {
  const all = SPANS.map(([, one]) => one)
  const next = by < 0 ? all.findLast((one) => one < span - 1_000) : all.find((one) => one > span + 1_000)
  return next ?? (by < 0 ? 30 * MINUTE : 30 * DAY)
}

/** The shortest of the usual spans that shows a stretch with room on both sides. */
export function spanAround(length: number): number {
  return SPANS.map(([, one]) => one).find((one) => one >= 3 * length) ?? WIDEST
}

/** How complete a day is, 0 to 1: of what was planned, or of the whole day where nothing was. */
export function recordedShare(day: { recorded_seconds: number; planned_seconds: number }): number {
  const wanted = day.planned_seconds > 0 ? day.planned_seconds : DAY / 1000
  return Math.min(1, day.recorded_seconds / wanted)
}

export const spanOf = ({ from, to }: View): number => to - from

export function xOf(view: View, width: number, at: number): number {
  return ((at - view.from) / spanOf(view)) * width
}

export function timeAt(view: View, width: number, x: number): number {
  return view.from + (x / width) * spanOf(view)
}

/** A view of that span around a moment, which stands at `share` of the width. */
export function around(at: number, span: number, share = 0.5): View {
  const bounded = Math.max(NARROWEST, Math.min(WIDEST, span))
  const from = at - bounded * share
  return { from, to: from + bounded }
}

/** Zooms by a factor (above 1: wider) and keeps the moment under the pointer in its place. */
export function zoomAt(view: View, at: number, factor: number): View {
  return around(at, spanOf(view) * factor, (at - view.from) / spanOf(view))
}

export function panBy(view: View, ms: number): View {
  return { from: view.from + ms, to: view.to + ms }
}

/** The view moved so that a moment is in it: when playback leaves it, the axis turns a page. */
export function following(view: View, at: number): View {
  const share = (at - view.from) / spanOf(view)
  if (share >= 0 && share <= 0.96) return view
  return around(at, spanOf(view), share > 0.96 && share < 1.5 ? 0.15 : 0.5)
}

const STEPS = [
  MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  5 * DAY,
]
const TICK_PX = 84

export interface Tick {
  at: number
  /** A day begins here. */
  day: boolean
}

/** Round times for the ruler, at least TICK_PX apart, on the civil day. */
export function ticks(view: View, width: number): { step: number; ticks: Tick[] } {
  const least = (spanOf(view) / Math.max(1, width)) * TICK_PX
  const step = STEPS.find((one) => one >= least) ?? 5 * DAY
  const out: Tick[] = []
  for (let at = Math.ceil((view.from + OFFSET) / step) * step; at - OFFSET <= view.to; at += step)
    out.push({ at: at - OFFSET, day: at % DAY === 0 })
  return { step, ticks: out }
}

/** What to ask the server for: the view and a width on both sides, on round times so that near views share it. */
export function asked(view: View, now: number): View {
  const span = spanOf(view)
  const grid = span / 2
  const from = Math.floor((view.from - span) / grid) * grid
  const to = Math.ceil((view.to + span) / grid) * grid
  return { from: Math.round(from), to: Math.round(Math.max(from + MINUTE, Math.min(to, now))) }
}

export interface Stretch {
  start: number
  end: number
}

/** The recorded moment nearest to one; null where nothing is recorded. */
export function nearest(spans: readonly Stretch[], at: number): number | null {
  let best: number | null = null
  for (const { start, end } of spans) {
    const candidate = at < start ? start : at >= end ? Math.max(start, end - 5_000) : at
    if (best === null || Math.abs(candidate - at) < Math.abs(best - at)) best = candidate
  }
  return best
}

/** A selection from two moments in whole seconds, within what has been; null when too short to mean one. */
export function selection(a: number, b: number, now: number): Stretch | null {
  const start = Math.floor(Math.min(a, b) / 1000) * 1000
  const end = Math.min(Math.ceil(Math.max(a, b) / 1000) * 1000, Math.floor(now / 1000) * 1000)
  return end - start >= 1000 ? { start, end } : null
}

/** `2026-11-22 21:14:32` (also `11-22 21:14`, `21:14:32`) in civil time; null where it is no time. */
export function typedTime(text: string, day: number): number | null {
  const match =
    /^(?:(?:(\d{4})[-/])?(\d{1,2})[-/](\d{1,2})[ T]+)?(\d{1,2})[:：](\d{2})(?:[:：](\d{2}))?$/.exec(
      text.trim(),
    )
  if (!match) return null
  const base = new Date(day + OFFSET)
  const [, y, mo, d, h, mi, s] = match
  const year = y === undefined ? base.getUTCFullYear() : Number(y)
  const month = mo === undefined ? base.getUTCMonth() : Number(mo) - 1
  const date = d === undefined ? base.getUTCDate() : Number(d)
  if (Number(h) > 23 || Number(mi) > 59 || Number(s ?? 0) > 59 || month > 11) return null
  const at = Date.UTC(year, month, date, Number(h), Number(mi), Number(s ?? 0))
  return new Date(at).getUTCDate() === date ? at - OFFSET : null
}
