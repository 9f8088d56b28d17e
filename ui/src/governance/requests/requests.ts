import type { Brought, BroughtDraft, RefusalReason } from '../../api/types'
import { ZONE } from '../../shared/format'

export const CHANNELS = [
  'counter',
  'letter',
  'phone',
  'online',
  'other',
] as const satisfies readonly Brought['channel'][]
export const GROUNDS = ['life', 'health', 'property'] as const
export const REFUSALS = [
  'identity',
  'not_entitled',
  'no_ground',
  'not_recorded',
  'expired',
  'others',
  'investigation',
  'other',
] as const satisfies readonly RefusalReason[]
/** Days left below which the clock presses. */
const SOON_DAYS = 3
const MOMENT = /^(\d{4}-\d\d-\d\d) ([01]\d|2[0-3]):([0-5]\d)$/

export type Press = 'late' | 'soon' | 'calm' | 'done'

export function pressOf({ days_left }: Pick<Brought, 'days_left'>): Press {
  if (days_left === null) return 'done'
  if (days_left < 0) return 'late'
  return days_left <= SOON_DAYS ? 'soon' : 'calm'
}

/** The text of the clock: a key below `governance:request.clock` and its number. */
export function clockOf({ days_left }: Pick<Brought, 'days_left'>): [key: string, n: number] {
  if (days_left === null) return ['closed', 0]
  if (days_left < 0) return ['over', -days_left]
  return days_left === 0 ? ['today', 0] : ['left', days_left]
}

/** `2026-11-30 08:30` in the city's civil time as RFC 3339; null where it is no moment. */
export function momentOf(text: string): string | null {
  const found = MOMENT.exec(text.trim())
  if (found === null) return null
  const at = Date.parse(`${found[1]}T${found[2]}:${found[3]}:00+08:00`)
  if (Number.isNaN(at)) return null
  const day = new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE }).format(at)
  return day === found[1] ? new Date(at).toISOString() : null
}

export interface Fields {
  kind: Brought['kind']
  organisation: string
  received_on: string
  channel: Brought['channel']
  ground: Brought['ground']
  what: string
  place?: string
  from?: string
  to?: string
  name: string
  contact: string
}

/** What the server takes of a form that is filled in. */
export function draftOf(fields: Fields): BroughtDraft {
  const asks = fields.kind === 'request'
  return {
    kind: fields.kind,
    organisation: fields.organisation,
    received_on: fields.received_on,
    channel: fields.channel,
    ground: asks ? fields.ground : null,
    what: fields.what.trim(),
    place: (fields.place ?? '').trim(),
    from: momentOf(fields.from ?? ''),
    to: momentOf(fields.to ?? ''),
    asker: { name: fields.name.trim(), contact: fields.contact.trim() },
  }
}
