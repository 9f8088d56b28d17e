import type { Grant, GrantDraft, Id, Named } from '../../api/types'
import { stamp } from '../../shared/format'

/** A grant as its form has it. Days are civil (UTC+8); `to` is the last day that still counts. */
export interface GrantFields {
  organisation: Id
  departments: string[]
  classes: number[]
  kinds: string[]
  zones: string[]
  from: string
  to: string
  /** `always`, or within hours. */
  live: 'always' | 'hours'
  days: number[]
  start: string
  end: string
  history: 'all' | 'since' | 'none'
  since: string
  /** What the account has now, so that what is not touched stays exactly as it was. */
  was?: Grant
}

const DAY_MS = 86_400_000
const ALL_DAYS = [0, 1, 2, 3, 4, 5, 6]

/** Midnight of a civil day. */
function midnight(day: string): number {
  return Date.parse(`${day}T00:00:00+08:00`)
}

/** `2026-11-30` of a moment. */
export function dayOf(at: number | string): string {
  return stamp(at).slice(0, 10)
}

function minutes(clock: string): number {
  const [hour, minute] = clock.split(':').map(Number)
  return (hour ?? 0) * 60 + (minute ?? 0)
}

function clockOf(of_day: number): string {
  return `${String(Math.floor(of_day / 60)).padStart(2, '0')}:${String(of_day % 60).padStart(2, '0')}`
}

/** What a new grant starts with. */
export function blankGrant(organisation: Named | null): Partial<GrantFields> {
  return {
    ...(organisation ? { organisation: organisation.id } : {}),
    departments: [],
    classes: [],
    kinds: [],
    zones: [],
    from: '',
    to: '',
    live: 'always',
    days: ALL_DAYS,
    start: '08:00',
    end: '18:00',
    history: 'since',
    since: dayOf(Date.now()),
  }
}

export function fieldsOf(grant: Grant): GrantFields {
  const hours = grant.live
  return {
    organisation: grant.organisation.id,
    departments: grant.departments,
    classes: grant.classes,
    kinds: grant.kinds,
    zones: grant.zones,
    from: dayOf(grant.starts_at),
    to: grant.ends_at === null ? '' : dayOf(Date.parse(grant.ends_at) - 1),
    live: hours ? 'hours' : 'always',
    days: hours?.days ?? ALL_DAYS,
    start: clockOf(hours?.start ?? 480),
    end: clockOf((hours?.end ?? 1080) % 1440),
    history: grant.has_history ? (grant.history_from === null ? 'all' : 'since') : 'none',
    since: dayOf(grant.history_from ?? Date.now()),
    was: grant,
  }
}

/** The moment that a day stands for; that of before where it was on the same day. */
function moment(day: string, before: string | null | undefined, shift = 0): string | null {
  if (day === '') return null
  if (before && dayOf(Date.parse(before) - (shift > 0 ? 1 : 0)) === day) return before
  return new Date(midnight(day) + shift).toISOString()
}

/** The moment after a last day; that of before where it was the same day. */
export function endOfDay(day: string, before: string | null | undefined): string | null {
  return moment(day, before, DAY_MS)
}

export function draftOf(fields: GrantFields): GrantDraft {
  const { was } = fields
  return {
    organisation: fields.organisation,
    departments: fields.departments,
    classes: fields.classes,
    kinds: fields.kinds,
    zones: fields.zones,
    starts_at: moment(fields.from, was?.starts_at),
    ends_at: endOfDay(fields.to, was?.ends_at),
    live:
      fields.live === 'always'
        ? null
        : {
            days: [...fields.days].sort((one, other) => one - other),
            start: minutes(fields.start),
            end: minutes(fields.end) || 1440,
          },
    has_history: fields.history !== 'none',
    history_from: fields.history === 'since' ? moment(fields.since, was?.history_from) : null,
  }
}
