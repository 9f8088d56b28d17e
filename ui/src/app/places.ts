import type { Abilities } from '../api/types'
import { paths } from './paths'

export type PlaceKey =
  | 'map'
  | 'video'
  | 'playback'
  | 'checkpoints'
  | 'alarms'
  | 'safety'
  | 'sites'
  | 'operations'
  | 'governance'
  | 'approvals'
  | 'ledger'
  | 'oversight'
  | 'accounts'
  | 'system'

export interface Place {
  key: PlaceKey
  /** Where it opens; null while it is not built, and the rail says so. */
  path: string | null
  /** `g` then this opens it; null: another place has the number. */
  number: number | null
  /** It is there, for others. */
  denied?: true
}

/** The ten places of the rail, in order. */
const PLACES: readonly (readonly [PlaceKey, path: string | null])[] = [
  ['map', paths.map()],
  ['video', paths.wall()],
  ['playback', paths.playback()],
  ['checkpoints', null],
  ['alarms', null],
  ['safety', null],
  ['sites', null],
  ['operations', paths.devices()],
  ['governance', null],
  ['system', paths.system()],
]

/** What governance is to somebody: one's requests, the ledger, oversight, or the accounts. */
const GOVERNANCE: readonly [PlaceKey, path: string, may: (can: Abilities) => boolean][] = [
  ['approvals', paths.approvals(), (can) => can.ask_approval || can.approve],
  ['ledger', paths.ledger(), (can) => can.read_ledger],
  ['oversight', paths.oversight(), (can) => can.read_ledger || can.read_breaches],
  ['accounts', paths.system({ tab: 'users' }), (can) => can.manage_users],
]

/** The rail's places as this person has them. */
export function placesFor(can: Abilities): Place[] {
  return PLACES.flatMap(([key, path], index): Place[] => {
    const number = (index + 1) % 10
    if (key !== 'governance') return [{ key, path, number }]
    const own = GOVERNANCE.filter(([, , may]) => may(can)).map(([key, path], place) => ({
      key,
      path,
      number: place === 0 ? number : null,
    }))
    return own.length > 0 ? own : [{ key, path, number, denied: true }]
  })
}

/** The place whose page an address is; the one that says most of it. */
export function placeAt(
  places: readonly Place[],
  { pathname, search }: { pathname: string; search: string },
) {
  const here = pathname + search
  return places
    .filter(({ path }) => path !== null && (pathname === path || here.startsWith(path)))
    .sort((a, b) => (b.path?.length ?? 0) - (a.path?.length ?? 0))[0]
}

/** Where somebody who signs in begins: an administrator of accounts or of the ledger has no use for pictures. */
export function homeFor(can: Abilities): string {
  if (can.view_live) return paths.map()
  if (can.read_ledger) return paths.ledger()
  if (can.manage_users) return paths.system({ tab: 'users' })
  return paths.map()
}
