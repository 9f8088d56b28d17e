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
  | 'system'

export interface Place {
  key: PlaceKey
  /** Where it opens; null while it is not built, and the rail says so. */
  path: string | null
}

/** The ten places of the rail, in order. `g` then the number opens one. */
export const places: readonly Place[] = [
  { key: 'map', path: paths.map() },
  { key: 'video', path: paths.wall() },
  { key: 'playback', path: paths.playback() },
  { key: 'checkpoints', path: null },
  { key: 'alarms', path: null },
  { key: 'safety', path: null },
  { key: 'sites', path: null },
  { key: 'operations', path: paths.devices() },
  { key: 'governance', path: null },
  { key: 'system', path: paths.system() },
]
