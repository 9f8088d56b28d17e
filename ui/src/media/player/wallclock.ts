/** Between wall-clock time (ms since 1970) and the time line of a media element (s), for pieces of a playlist. */

export interface Piece {
  /** Its place in the playlist, which stays when that is read anew. */
  number: number
  /** On the media time line, seconds. */
  start: number
  duration: number
  /** Wall-clock time of its first frame, ms. */
  wall: number
  /** The server makes H.264 of it. */
  converted?: boolean
  masked?: boolean
}

const endOf = (piece: Piece) => piece.wall + piece.duration * 1000

/** The last piece that begins at or before that wall time; -1 where none does. Pieces are sorted. */
export function pieceAt(pieces: readonly Piece[], wall: number): number {
  let low = 0
  let high = pieces.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((pieces[middle] as Piece).wall <= wall) low = middle + 1
    else high = middle
  }
  return low - 1
}

const ROUNDING_MS = 60

/** Media time of a wall time, or null in a gap. */
export function mediaAt(pieces: readonly Piece[], wall: number): number | null {
  const piece = pieces[pieceAt(pieces, wall)]
  if (piece === undefined || wall >= endOf(piece) + ROUNDING_MS) return null
  return piece.start + Math.min(piece.duration, (wall - piece.wall) / 1000)
}

/** Wall time of a media time, or null outside. */
export function wallAt(pieces: readonly Piece[], media: number): number | null {
  let low = 0
  let high = pieces.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((pieces[middle] as Piece).start <= media + 1e-3) low = middle + 1
    else high = middle
  }
  const piece = pieces[low - 1]
  return piece === undefined ? null : piece.wall + (media - piece.start) * 1000
}

/** When recording goes on after a wall time in a gap; null where the list ends. */
export function nextAfter(pieces: readonly Piece[], wall: number): number | null {
  return pieces[pieceAt(pieces, wall) + 1]?.wall ?? null
}
