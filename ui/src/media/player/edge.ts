/** How a live player stays near the newest picture: pure rules, seconds everywhere. */

export const JUMP_BEHIND_S = 0.15
export const TOO_FAR_S = 2
export const HURRY_S = 0.5
export const EASE_S = 0.35
export const ENOUGH_S = 0.25
export const KEEP_BEHIND_S = 10

export interface Edge {
  at: number
  /** The last stretch of what is buffered. */
  start: number
  end: number
  rate: number
  /** The first picture has not been shown yet: begin at the edge, not at the cached key frame. */
  first: boolean
  /** Just begun (the cached group is still coming in), or in a hurry for too long: jump rather than nudge. */
  impatient: boolean
}

export interface Steering {
  seek: number | null
  rate: number
}

/** Where to be and how fast to go. Nudges last until the lag is comfortable, so that the rate does not flutter. */
export function steer({ at, start, end, rate, first, impatient }: Edge): Steering {
  const edge = Math.max(start, end - JUMP_BEHIND_S)
  if (first || at < start || at > end + 0.5) return { seek: edge, rate: 1 }
  const lag = end - at
  if (lag > TOO_FAR_S || (impatient && lag > HURRY_S)) return { seek: edge, rate: 1 }
  if (lag > HURRY_S) return { seek: null, rate: 1.1 }
  if (lag > EASE_S) return { seek: null, rate: Math.max(rate, 1.05) }
  return { seek: null, rate: lag > ENOUGH_S ? rate : 1 }
}

/** What may be thrown away behind the picture, or null where it is too little to bother. */
export function trimmable(at: number, bufferedFrom: number): { from: number; to: number } | null {
  const to = at - KEEP_BEHIND_S
  return to - bufferedFrom > 5 ? { from: bufferedFrom, to } : null
}

const BACKOFF_S = [1, 2, 5, 10] as const

/** Seconds to wait before the n-th try in a row (from 0). */
export function backoff(tries: number): number {
  return BACKOFF_S[Math.min(tries, BACKOFF_S.length - 1)] ?? 10
}
