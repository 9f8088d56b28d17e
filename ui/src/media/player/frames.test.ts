import { describe, expect, it } from 'vitest'
import { frameFrom, framesOf, type Frames } from './frames'

/** One fragment as our fragmenter writes it: frames of a track, of so many ticks each. */
function moof(
  track: number,
  time: number,
  count: number,
  ticks: number,
  late: readonly number[] = [],
): Uint8Array {
  const box = (kind: string, ...parts: number[][]) => {
    const body = parts.flat()
    return [...u32(8 + body.length), ...Array.from(kind, (one) => one.charCodeAt(0)), ...body]
  }
  const u32 = (n: number) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]
  const u64 = (n: number) => [...u32(Math.floor(n / 2 ** 32)), ...u32(n % 2 ** 32)]
  const samples = Array.from({ length: count }, (_, n) => [
    ...u32(ticks),
    ...u32(9),
    ...(late.length > 0 ? u32(late[n] ?? 0) : []),
  ])
  const flags = 0x301 | (late.length > 0 ? 0x800 : 0)
  const traf = box(
    'traf',
    box('tfhd', u32(0x020000), u32(track)),
    box('tfdt', u32(0x01000000), u64(time)),
    box('trun', u32(0x01000000 | flags), u32(count), u32(0), ...samples),
  )
  return Uint8Array.from([...box('moof', box('mfhd', u32(0), u32(1)), traf), ...box('mdat', [1, 2, 3])])
}

function joined(...parts: Uint8Array[]): ArrayBuffer {
  const all = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0))
  let at = 0
  for (const one of parts) {
    all.set(one, at)
    at += one.length
  }
  return all.buffer
}

const START = 2 ** 33

describe('the frames of a piece', () => {
  it('are those of its video, fragment after fragment', () => {
    const bytes = joined(
      moof(1, START, 15, 6_000),
      moof(2, START, 40, 2_048),
      moof(1, START + 90_000, 15, 6_000),
    )
    const frames = framesOf(bytes)
    expect(frames).toHaveLength(30)
    expect(frames[1]).toBeCloseTo(66.67, 1)
    expect(frames[15]).toBeCloseTo(1_000, 5)
  })
  it('are in the order in which they are shown', () => {
    const frames = framesOf(joined(moof(1, 0, 4, 3_000, [3_000, 9_000, 3_000, 3_000])))
    expect(frames.map(Math.round)).toEqual([33, 100, 133, 133])
  })
  it('are none where there is nothing to read', () => {
    expect(framesOf(new ArrayBuffer(0))).toEqual([])
    expect(framesOf(Uint8Array.from([0, 0, 0, 99, 109, 111, 111, 102]).buffer)).toEqual([])
    expect(framesOf(joined(moof(1, 0, 4, 3_000)).slice(0, 60))).toEqual([])
  })
})

describe.each([15, 30, 60])('a step at %i frames a second', (rate) => {
  const ticks = 90_000 / rate
  const pieces = [
    { number: 7, start: 0, duration: 4, wall: 1_000_000 },
    { number: 8, start: 4, duration: 4, wall: 1_004_000 },
  ]
  const frames: Frames = new Map([
    [7, framesOf(joined(moof(1, START, 4 * rate, ticks)))],
    [8, framesOf(joined(moof(1, START, 4 * rate, ticks)))],
  ])
  /** Which frame is shown then, counted from the first. */
  const shown = (at: number) => Math.floor(((at - 1_000_000) * rate) / 1000 + 1e-6)

  it('goes one frame ahead, all through both pieces', () => {
    let at: number | null = 1_000_000
    for (let n = 1; n < 8 * rate; n++) {
      at = frameFrom(pieces, frames, at, 1)
      expect(at).not.toBeNull()
      if (at === null) return
      expect(shown(at)).toBe(n)
    }
    expect(frameFrom(pieces, frames, at, 1)).toBeNull()
  })
  it('goes one frame back, over the end of a piece', () => {
    let at: number | null = 1_004_000 + 1_500 / rate
    for (const wanted of [4 * rate, 4 * rate - 1, 4 * rate - 2]) {
      at = frameFrom(pieces, frames, at, -1)
      expect(at === null ? null : shown(at)).toBe(wanted)
      if (at === null) return
    }
  })
  it('goes to the ends of a piece that is not loaded yet', () => {
    const [first] = frames
    const one: Frames = new Map(first ? [first] : [])
    const next = frameFrom(pieces, one, 1_004_000 - 1, 1)
    expect(next === null ? null : shown(next)).toBe(4 * rate)
    expect(frameFrom(pieces, new Map(), 1_002_000, 1)).toBeNull()
    expect(frameFrom(pieces, frames, 900_000, 1)).toBeNull()
  })
})
