import type { Breach, BreachDraft, BreachKind, BreachState, BreachStep, Time } from '../../api/types'
import { typedTime } from '../../media/playback/axis'
import { stamp } from '../../shared/format'

export const KINDS = [
  'video',
  'pictures',
  'plates',
  'positions',
  'contacts',
  'accounts',
  'cases',
  'other',
] as const satisfies readonly BreachKind[]
export const STATES = ['draft', 'reported', 'notified', 'closed'] as const satisfies readonly BreachState[]

/** What may be done next, the usual step first. */
export function stepsFor(state: BreachState): BreachStep[] {
  if (state === 'draft') return ['report', 'close']
  if (state === 'reported') return ['notify', 'close']
  return state === 'notified' ? ['close'] : []
}

/** A draft that nobody has reported presses; the law says at once. */
export const presses = ({ state }: Pick<Breach, 'state'>): boolean => state === 'draft'

/** How long the authority did not know: that runs on from when it was read until it is reported. */
export const unreportedSeconds = (
  one: Pick<Breach, 'state' | 'found_at' | 'unreported_seconds'>,
  now: number,
) => (presses(one) ? Math.max(0, (now - Date.parse(one.found_at)) / 1000) : one.unreported_seconds)

/** A moment as people type it. */
export const typed = (at: Time | null): string => (at === null ? '' : stamp(at).slice(0, 16))

/** What was typed, for the API; null for nothing. Only what `isMoment` let through. */
export function sent(text: string | undefined): Time | null {
  const at = text ? typedTime(text, Date.now()) : null
  return at === null ? null : new Date(at).toISOString()
}

export interface BreachFields extends Omit<BreachDraft, 'found_at' | 'from' | 'to'> {
  found_at: string
  from: string
  to?: string
}

export function draftOf({ found_at, from, to, affected, ...rest }: BreachFields): BreachDraft {
  return {
    ...rest,
    affected: affected ?? null,
    found_at: sent(found_at) ?? '',
    from: sent(from) ?? '',
    to: sent(to),
  }
}

export function fieldsOf(one: Breach | null, now: number): Partial<BreachFields> {
  if (one === null) return { found_at: stamp(now).slice(0, 16), kinds: [] }
  const { organisation, title, what, kinds, affected, cause, harm, measures, advice, contact } = one
  return {
    organisation: organisation.id,
    title,
    what,
    kinds,
    affected,
    cause,
    harm,
    measures,
    advice,
    contact,
    found_at: typed(one.found_at),
    from: typed(one.from),
    to: typed(one.to),
  }
}
