import type { ExportJob } from '../../api/types'
import { faultOf, type Polygon } from '../masks/geometry'
import type { Stretch } from '../playback/axis'

export const LONGEST_MS = 6 * 3_600_000
/** How often what is being made is read again. */
export const EVERY_MS = 5_000

/** An area that is covered for good, and when. */
export interface Area extends Stretch {
  polygon: Polygon
}

/** How far it is, 0 to 1. */
export function shareOf({ seconds, seconds_done }: Pick<ExportJob, 'seconds' | 'seconds_done'>): number {
  return seconds > 0 ? Math.min(1, seconds_done / seconds) : 0
}

/** Why the server would not take the areas: a key below `media:export`; null: it would. */
export function areasFault(areas: readonly Area[], isDrawing: boolean, isClear: boolean): string | null {
  if (isDrawing) return 'unfinished'
  if (areas.some(({ polygon }) => faultOf(polygon) !== null)) return 'wrong'
  return areas.length === 0 && !isClear ? 'clear_needed' : null
}

/** An area from or until a moment, still of some length and inside the clip. */
export function bounded(area: Area, edge: 'start' | 'end', at: number, clip: Stretch): Area {
  if (edge === 'start') return { ...area, start: Math.max(clip.start, Math.min(at, area.end - 1000)) }
  return { ...area, end: Math.min(clip.end, Math.max(at, area.start + 1000)) }
}

export const isShown = (area: Area, at: number): boolean => area.start <= at && at < area.end
