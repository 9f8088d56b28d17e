import type { Id } from '../../api/types'
import { NARROWEST, WIDEST } from './axis'

/** What the address of the playback page holds. */
export interface PlaybackState {
  points: readonly Id[]
  /** Where playback began or was last sought; null: just now. */
  at: number | null
  span: number
  clip: { start: number; end: number } | null
  /** Whose recordings: the platform's, or those on the chosen point's device. */
  source: 'platform' | 'device'
}

export const MOST_POINTS = 16
const USUAL_SPAN = 6 * 3_600_000

const time = (text: string | null): number | null => {
  const at = text === null ? NaN : Date.parse(text)
  return Number.isNaN(at) ? null : at
}

export function readPlayback(search: URLSearchParams): PlaybackState {
  const points = [...new Set((search.get('points') ?? '').split(',').filter((id) => id !== ''))]
  const span = Number(search.get('span') ?? NaN) * 60_000
  const [start, end] = (search.get('clip') ?? '').split('~').map((text) => time(text))
  return {
    points: points.slice(0, MOST_POINTS),
    at: time(search.get('at')),
    span: Number.isFinite(span) ? Math.max(NARROWEST, Math.min(WIDEST, span)) : USUAL_SPAN,
    clip: typeof start === 'number' && typeof end === 'number' && end > start ? { start, end } : null,
    source: search.get('source') === 'device' ? 'device' : 'platform',
  }
}

const iso = (at: number) => new Date(at).toISOString()

export function writePlayback({ points, at, span, clip, source }: PlaybackState): URLSearchParams {
  const search = new URLSearchParams()
  if (points.length > 0) search.set('points', points.join(','))
  if (at !== null) search.set('at', iso(at))
  if (span !== USUAL_SPAN) search.set('span', String(Math.round(span / 60_000)))
  if (clip) search.set('clip', `${iso(clip.start)}~${iso(clip.end)}`)
  if (source === 'device') search.set('source', source)
  return search
}
