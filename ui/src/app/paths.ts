import { pathWith } from '../api/client'
import type { Id, Time } from '../api/types'
import { spanAround } from '../media/playback/axis'

/** Every link inside the product comes from here. */
export const paths = {
  login: (next?: string) => pathWith('/login', { next: next === '/' ? null : next }),
  setup: (token: string) => `/setup/${encodeURIComponent(token)}`,
  map: (
    query: { point?: Id; state?: string; kind?: string; owner?: string; organisation?: Id; list?: '1' } = {},
  ) => pathWith('/map', query),
  /** `ptz` opens the first of them with the controls to turn it. */
  wall: (points: readonly Id[] = [], ptz = false) => pathWith('/wall', { points, ptz: ptz ? 1 : null }),
  /** `clip` chooses a range, and the axis shows all of it. */
  playback: (points: readonly Id[] = [], at?: Time, clip?: { start: Time; end: Time }) =>
    pathWith('/playback', {
      points,
      at,
      ...(clip
        ? {
            clip: `${clip.start}~${clip.end}`,
            span: spanAround(Date.parse(clip.end) - Date.parse(clip.start)) / 60_000,
          }
        : {}),
    }),
  devices: (
    query: {
      tab?: string
      device?: Id
      q?: string
      import?: Id
      organisation?: Id
      rule?: string
      file?: Id
      field?: string
    } = {},
  ) => pathWith('/devices', query),
  /** The camera file of a point, with one field in sight. */
  file: (point: Id, field?: string): string =>
    paths.devices({ tab: 'files', file: point, ...(field ? { field } : {}) }),
  approvals: (query: { tab?: string; open?: Id } = {}) => pathWith('/approvals', query),
  ledger: (query: Record<string, string> = {}) => pathWith('/ledger', query),
  oversight: (query: { tab?: string; month?: string; state?: string; open?: Id } = {}) =>
    pathWith('/oversight', query),
  system: (query: { tab?: string; point?: Id; part?: string; kind?: string; unit?: Id } = {}) =>
    pathWith('/system', query),
}
