import type { Filing, FilingChange, Regime, VideoSystem, VideoSystemDraft } from '../../api/types'

export const REGIMES = ['art7', 'art9', 'nonpublic'] as const satisfies readonly Regime[]
const SOON_DAYS = 7

/** How a filing's clock stands: `late` and `soon` press, each with a shape of its own. */
export type Press = 'late' | 'soon' | 'changed' | 'calm' | 'done' | 'none'

export function pressOf({ state, days_left }: Pick<Filing, 'state' | 'days_left'>): Press {
  switch (state) {
    case 'overdue':
      return 'late'
    case 'changed':
      return 'changed'
    case 'due':
      return (days_left ?? 0) <= SOON_DAYS ? 'soon' : 'calm'
    case 'filed':
      return 'done'
    case 'not_needed':
      return 'none'
  }
}

/** The text of the clock: a key below `governance:duty.clock` and its number. */
export function clockOf({ state, days_left }: Pick<Filing, 'state' | 'days_left'>): [key: string, n: number] {
  const left = days_left ?? 0
  if (state === 'overdue') return ['over', -left]
  if (state === 'due') return left === 0 ? ['today', 0] : ['left', left]
  return [state, 0]
}

/** How a change reads: of devices by kind, of everything else by its name. */
export function changeKey(change: FilingChange): string {
  return change.what === 'devices' ? `shared:kind.${change.kind}` : `governance:duty.what.${change.what}`
}

/** The least days of recordings that a regime asks for. */
export function leastDays(regime: Regime): number {
  return regime === 'art7' ? 30 : 1
}

export interface SystemFields extends Omit<VideoSystemDraft, 'retention_days'> {
  retention_days: number | null
}

export function fieldsOf(system: VideoSystem | null): Partial<SystemFields> {
  if (system === null) return { regime: 'art7', retention_days: 30 }
  const { name, organisation, regime, legal_basis, in_use_on, retention_days, contact } = system
  return { name, organisation: organisation.id, regime, legal_basis, in_use_on, retention_days, contact }
}

export const PHOTO_TYPES: readonly string[] = ['image/jpeg', 'image/png']
const PHOTO_BYTES = 5 * 1024 * 1024

/** Why the server would not take a photo, before it is sent. */
export function photoFault({ type, size }: Pick<File, 'type' | 'size'>): 'type' | 'size' | null {
  if (!PHOTO_TYPES.includes(type)) return 'type'
  return size > PHOTO_BYTES ? 'size' : null
}
