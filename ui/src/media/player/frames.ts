import { pieceAt, type Piece } from './wallclock'

/** The number of the video's track, and the clock of all tracks, in what our fragmenter writes. */
const VIDEO_TRACK = 1
const TICKS_PER_MS = 90
const DURATION = 0x100
const SIZE = 0x200
const FLAGS = 0x400
const COMPOSITION = 0x800

interface Box {
  kind: string
  from: number
  to: number
}

function* boxes(data: DataView, from: number, to: number): Generator<Box> {
  for (let at = from; at + 8 <= to;) {
    const size = data.getUint32(at)
    const kind = String.fromCharCode(...[4, 5, 6, 7].map((n) => data.getUint8(at + n)))
    const end = size === 0 ? to : at + size
    if (size === 1 || end <= at + 7 || end > to) return
    yield { kind, from: at + 8, to: end }
    at = end
  }
}

/**
 * When each frame of a piece is shown, ms after its first one is decoded, in order: what its `moof` boxes tell
 * (ISO/IEC 14496-12 8.8). Empty where they tell nothing.
 */
export function framesOf(bytes: ArrayBuffer): number[] {
  const data = new DataView(bytes)
  const shown: number[] = []
  let first: number | null = null
  for (const moof of boxes(data, 0, data.byteLength)) {
    if (moof.kind !== 'moof') continue
    for (const traf of boxes(data, moof.from, moof.to)) {
      if (traf.kind !== 'traf') continue
      let track = 0
      let time = 0
      let usual = 0
      for (const { kind, from, to } of boxes(data, traf.from, traf.to)) {
        if (kind === 'tfhd') {
          const flags = data.getUint32(from) & 0xffffff
          track = data.getUint32(from + 4)
          const at = from + 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0)
          if (flags & 8) usual = data.getUint32(at)
        } else if (kind === 'tfdt') {
          time = data.getUint8(from) === 1 ? Number(data.getBigUint64(from + 4)) : data.getUint32(from + 4)
        } else if (kind === 'trun' && track === VIDEO_TRACK) {
          const flags = data.getUint32(from) & 0xffffff
          const step = 4 * [DURATION, SIZE, FLAGS, COMPOSITION].filter((one) => flags & one).length
          let at = from + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0)
          const count = Math.min(data.getUint32(from + 4), step > 0 ? Math.floor((to - at) / step) : 0)
          first ??= time
          for (let n = 0; n < count; n++, at += step) {
            const late = flags & COMPOSITION ? data.getInt32(at + step - 4) : 0
            shown.push((time + late - first) / TICKS_PER_MS)
            time += flags & DURATION ? data.getUint32(at) : usual
          }
        }
      }
    }
  }
  return shown.sort((a, b) => a - b)
}

/** Pieces whose frames are known, by their number in the playlist. */
export type Frames = ReadonlyMap<number, readonly number[]>

/**
 * The middle of the frame that is `by` frames from the one at a wall time, ms; across the ends of pieces, and of gaps.
 * Null where the frames there are not known.
 */
export function frameFrom(pieces: readonly Piece[], frames: Frames, at: number, by: number): number | null {
  let n = pieceAt(pieces, at)
  const here = pieces[n]
  const times = here ? frames.get(here.number) : undefined
  if (!here || !times || times.length === 0) return null
  const usual = (here.duration * 1000) / times.length
  const past = at - here.wall
  let k =
    Math.max(
      0,
      times.findLastIndex((time) => time <= past + 0.5),
    ) + by
  for (;;) {
    const piece = pieces[n]
    if (piece === undefined) return null
    const known = frames.get(piece.number)
    if (known === undefined || known.length === 0) {
      // not loaded yet: its first frame or its last
      return k < 0 ? piece.wall + piece.duration * 1000 - usual / 2 : piece.wall + usual / 2
    }
    if (k >= 0 && k < known.length) {
      const start = known[k] as number
      const end = known[k + 1] ?? Math.max(start, piece.duration * 1000)
      return piece.wall + start + Math.max(1, end - start) / 2
    }
    if (k >= known.length) {
      k -= known.length
      n += 1
    } else {
      n -= 1
      const before = pieces[n]
      const size = before ? (frames.get(before.number)?.length ?? 0) : 0
      k = size > 0 ? k + size : -1
    }
  }
}
