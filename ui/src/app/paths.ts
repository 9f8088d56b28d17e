import { pathWith } from '../api/client'
import type { Id } from '../api/types'

/** Every link inside the product comes from here. */
export const paths = {
  login: (next?: string) => pathWith('/login', { next: next === '/' ? null : next }),
  setup: (token: string) => `/setup/${encodeURIComponent(token)}`,
  map: (
    query: { point?: Id; state?: string; kind?: string; owner?: string; organisation?: Id; list?: '1' } = {},
  ) => pathWith('/map', query),
  /** `ptz` opens the first of them with the controls to turn it. */
  wall: (points: readonly Id[] = [], ptz = false) => pathWith('/wall', { points, ptz: ptz ? 1 : null }),
  playback: (points: readonly Id[] = [], at?: string) => pathWith('/playback', { points, at }),
  devices: (query: { tab?: string; device?: Id; q?: string; import?: Id } = {}) =>
    pathWith('/devices', query),
  system: (query: { tab?: string } = {}) => pathWith('/system', query),
}
