import { stamp } from '../../shared/format'
import { DAY } from '../playback/axis'

/** Days until a hold is looked at again, as they are offered; the server takes a year at most. */
export const OFFERED_DAYS = [7, 30, 90, 365] as const
export const USUAL_DAYS = 30

/** `2026-12-30`: the civil day so many days from now. */
export function dayAhead(days: number, now = Date.now()): string {
  return stamp(now + days * DAY).slice(0, 10)
}

/** The end of a civil day, as the API takes it. */
export const endOf = (day: string) => new Date(`${day}T23:59:59+08:00`).toISOString()

/** Whether the server takes that day: one that exists, from tomorrow on, within a year. */
export function isReviewDay(text: string, now = Date.now()): boolean {
  const day = text.trim()
  const at = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T12:00:00+08:00`) : NaN
  // a day that no month has is taken for one of the next
  const exists = !Number.isNaN(at) && stamp(at).slice(0, 10) === day
  return exists && day >= dayAhead(1, now) && day <= dayAhead(365, now)
}
