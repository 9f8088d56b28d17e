import type { TFunction } from 'i18next'

/** The zone of the screen; storage and API speak UTC. */
export const ZONE = 'Asia/Shanghai'
export const ZONE_LABEL = 'UTC+8'

const parts = new Intl.DateTimeFormat('en-GB', {
  timeZone: ZONE,
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})

type Instant = Date | string | number

function pieces(at: Instant): Record<string, string> {
  const out: Record<string, string> = {}
  for (const part of parts.formatToParts(new Date(at))) out[part.type] = part.value
  return out
}

/** `22:41:07` */
export function clock(at: Instant): string {
  const p = pieces(at)
  return `${p.hour}:${p.minute}:${p.second}`
}

/** `11-22 22:41:07` */
export function dayClock(at: Instant): string {
  const p = pieces(at)
  return `${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`
}

/** `2026-11-22 22:41:07` */
export function stamp(at: Instant): string {
  const p = pieces(at)
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`
}

/** `2026-11-22 22:41:07 – 22:43:00`; with its day too where it ends on another. */
export function rangeText(start: Instant, end: Instant): string {
  const from = stamp(start)
  const to = stamp(end)
  return `${from} – ${from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to}`
}

/** `1,168` */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** Ages as people say them: `0.3 s`, `12 s`, `5 min`, `3 h`, `2 d` in the language of `t`. */
export function age(seconds: number, t: TFunction): string {
  const s = Math.max(0, seconds)
  if (s < 1) return t('shared:age.seconds', { n: s.toFixed(1) })
  if (s < 90) return t('shared:age.seconds', { n: Math.round(s) })
  if (s < 90 * 60) return t('shared:age.minutes', { n: Math.round(s / 60) })
  if (s < 36 * 3600) return t('shared:age.hours', { n: Math.round(s / 3600) })
  return t('shared:age.days', { n: Math.round(s / 86400) })
}

/** `12 秒前` / `12 s ago` */
export function ago(seconds: number, t: TFunction): string {
  return t('shared:age.ago', { age: age(seconds, t) })
}

/** `121.40312°E 30.99871°N` */
export function coordinates(longitude: number, latitude: number): string {
  const lon = `${Math.abs(longitude).toFixed(5)}°${longitude < 0 ? 'W' : 'E'}`
  const lat = `${Math.abs(latitude).toFixed(5)}°${latitude < 0 ? 'S' : 'N'}`
  return `${lon} ${lat}`
}
