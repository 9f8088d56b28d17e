import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { backoff, steer, trimmable } from './edge'
import { LivePlayer } from './LivePlayer'
import { correct, MasterClock } from './MasterClock'
import { readClose, readMessage } from './messages'
import { isConverted, tracksOf } from './PlaybackPlayer'
import { mediaAt, nextAfter, wallAt } from './wallclock'

describe('the live edge', () => {
  const near = { at: 9.8, start: 0, end: 10, rate: 1, first: false, impatient: false }
  it('jumps there at first, when far behind, or when it takes too long', () => {
    expect(steer({ ...near, at: 0, first: true })).toEqual({ seek: 9.85, rate: 1 })
    expect(steer({ ...near, at: 7.9 }).seek).toBe(9.85)
    expect(steer({ ...near, at: 9.2 }).seek).toBeNull()
    expect(steer({ ...near, at: 9.2, impatient: true }).seek).toBe(9.85)
    expect(steer({ ...near, start: 9.9 }).seek).toBe(9.9)
  })
  it('hurries by nudges until the lag is comfortable', () => {
    expect(steer({ ...near, at: 9.4 }).rate).toBe(1.1)
    expect(steer({ ...near, at: 9.6 }).rate).toBe(1.05)
    expect(steer({ ...near, at: 9.7, rate: 1.1 }).rate).toBe(1.1)
    expect(steer({ ...near, at: 9.8, rate: 1.1 }).rate).toBe(1)
  })
  it('trims what is more than ten seconds behind', () => {
    expect(trimmable(30, 0)).toEqual({ from: 0, to: 20 })
    expect(trimmable(12, 0)).toBeNull()
  })
  it('waits longer and longer', () => expect([0, 1, 2, 3, 9].map(backoff)).toEqual([1, 2, 5, 10, 10]))
})

describe('what the socket says', () => {
  it('is read as text or as a close reason', () => {
    expect(readMessage('{"mime":"video/mp4; codecs=\\"hvc1.1\\"","play":"p"}')).toMatchObject({
      codec: 'H.265',
      sound: false,
      play: 'p',
    })
    expect(readMessage('{"error":{"kind":"denied","reason":"no"}}')).toMatchObject({
      is: 'error',
      kind: 'denied',
    })
    for (const odd of ['', '[]', '7', 'null', '{"mime":4}', '{"flow":{}}', '{"flow":{"at":7}}'])
      expect(readMessage(odd)).toBeNull()
    const at = '2026-11-30T12:00:00Z'
    expect(readMessage(JSON.stringify({ flow: { at, loss: 0.02, received_at: at, media: 12.5 } }))).toEqual({
      is: 'flow',
      at: Date.parse(at),
      loss: 0.02,
      received: { at: Date.parse(at), media: 12.5 },
    })
    // pictures that are drawn anew have an axis of their own
    expect(
      readMessage(JSON.stringify({ flow: { at, loss: 0, received_at: at, media: null } })),
    ).toMatchObject({ received: null })
    expect(readClose(4403, 'plain')).toMatchObject({ kind: 'denied', reason: 'plain' })
    expect(readClose(1006, '').kind).toBe('unavailable')
  })
})

describe('wall-clock time', () => {
  const pieces = [
    { number: 0, start: 0, duration: 4, wall: 1_000_000 },
    { number: 1, start: 4, duration: 4, wall: 1_004_000 },
    { number: 2, start: 8, duration: 4, wall: 1_060_000 },
  ]
  it('knows gaps', () => {
    expect(mediaAt(pieces, 1_005_000)).toBe(5)
    expect(mediaAt(pieces, 1_030_000)).toBeNull()
    expect(nextAfter(pieces, 1_030_000)).toBe(1_060_000)
    expect(mediaAt(pieces, 999_000)).toBeNull()
    expect(wallAt(pieces, 9)).toBe(1_061_000)
    expect(nextAfter(pieces, 1_070_000)).toBeNull()
  })
})

describe('what a recording is played as', () => {
  it('is told by the codecs of its pieces and by what they are asked as', () => {
    expect(tracksOf('avc1.64001f,mp4a.40.2')).toEqual({ codec: 'H.264', sound: true })
    expect(tracksOf('hvc1.1.6.L93.B0')).toEqual({ codec: 'H.265', sound: false })
    expect(tracksOf('')).toEqual({ codec: null, sound: false })
    expect(isConverted('../../media/7/0-900.m4s?look=x&as=h264')).toBe(true)
    expect(isConverted('../../media/7/0-900.m4s?look=as=h264')).toBe(false)
  })
})

describe('the clock of all tiles', () => {
  it('moves at its rate, stands while a tile loads, and goes on from where it stood', () => {
    let now = 0
    const clock = new MasterClock(1_000, () => now)
    const tile = {}
    clock.play()
    now = 100
    expect(clock.at).toBe(1_100)
    clock.setRate(4)
    now = 200
    expect(clock.at).toBe(1_500)
    clock.hold(tile)
    now = 900
    expect(clock.at).toBe(1_500)
    clock.release(tile)
    now = 1_000
    expect(clock.at).toBe(1_900)
    clock.setRate(-1)
    now = 1_100
    expect(clock.at).toBe(1_800)
  })
  it('corrects drift by rate, and by a seek only when far off', () => {
    expect(correct(20, 1)).toEqual({ seek: false, rate: 1 })
    expect(correct(400, 1).rate).toBeLessThan(1)
    expect(correct(-400, 1).rate).toBeGreaterThan(1)
    expect(correct(-3_000, 1).seek).toBe(true)
    expect(correct(-3_000, 4).seek).toBe(false)
  })
})

class FakeSocket {
  binaryType = ''
  sent: string[] = []
  closed = false
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  send(text: string) {
    this.sent.push(text)
  }
  close() {
    this.closed = true
  }
}

class FakeBuffer extends EventTarget {
  updating = false
  mode = 'segments'
  appended: number[] = []
  types: string[] = []
  buffered = { length: 0, start: () => 0, end: () => 0 }
  appendBuffer(data: ArrayBuffer) {
    if (this.updating) throw new Error('appended while updating')
    this.updating = true
    this.appended.push(data.byteLength)
  }
  changeType(mime: string) {
    this.types.push(mime)
  }
  remove() {
    this.updating = true
  }
  done() {
    this.updating = false
    this.dispatchEvent(new Event('updateend'))
  }
}

class FakeSource extends EventTarget {
  readyState = 'open'
  buffers: FakeBuffer[] = []
  addSourceBuffer() {
    const one = new FakeBuffer()
    this.buffers.push(one)
    return one
  }
  removeSourceBuffer(one: FakeBuffer) {
    this.buffers = this.buffers.filter((other) => other !== one)
  }
}

function stage(supports = true) {
  const sockets: FakeSocket[] = []
  const sources: FakeSource[] = []
  const urls = new Set<string>()
  let frame: (() => void) | null = null
  const video = Object.assign(document.createElement('video'), {
    play: () => Promise.resolve(),
    load: () => undefined,
    requestVideoFrameCallback: (shown: () => void) => {
      frame = shown
      return 1
    },
    cancelVideoFrameCallback: () => (frame = null),
  })
  const player = new LivePlayer(video, 'ws://x', {
    socket: () => {
      const one = new FakeSocket()
      sockets.push(one)
      return one as unknown as WebSocket
    },
    source: () => {
      const one = new FakeSource()
      sources.push(one)
      return one as unknown as MediaSource
    },
    supports: () => supports,
    objectUrl: () => {
      urls.add(`blob:${urls.size}`)
      return `blob:${urls.size - 1}`
    },
    revoke: (url) => void urls.delete(url),
    now: () => Date.now(),
    decoder: () => Promise.resolve(null),
  })
  const show = () => {
    const shown = frame
    frame = null
    shown?.()
  }
  const begin = () => {
    player.start()
    sockets[0]?.onopen?.()
    sockets[0]?.onmessage?.({ data: '{"mime":"video/mp4; codecs=\\"avc1.4d401f\\"","play":"p1"}' })
    sources[0]?.dispatchEvent(new Event('sourceopen'))
  }
  return { player, video, sockets, sources, urls, show, begin, isWatching: () => frame !== null }
}

describe('LivePlayer', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const bytes = (n: number) => ({ data: new ArrayBuffer(n) })

  it('appends one after the other, in order, with a change of codec between', () => {
    const { sockets, sources, begin } = stage()
    begin()
    const [socket, buffer] = [sockets[0], sources[0]?.buffers[0]]
    socket?.onmessage?.(bytes(1))
    socket?.onmessage?.(bytes(2))
    socket?.onmessage?.({ data: '{"mime":"video/mp4; codecs=\\"avc1.64001f\\""}' })
    socket?.onmessage?.(bytes(3))
    expect(buffer?.appended).toEqual([1])
    buffer?.done()
    expect(buffer?.types).toEqual([])
    buffer?.done()
    buffer?.done()
    expect(buffer?.appended).toEqual([1, 2, 3])
    expect(buffer?.types).toHaveLength(1)
  })
  it('appends what waits in a row at once, and goes to the edge only when nothing waits', () => {
    const { video, sockets, sources, begin } = stage()
    const places: number[] = []
    const bufferedTo = (end: number) => ({ length: 1, start: () => 0, end: () => end })
    Object.defineProperty(video, 'buffered', { get: () => bufferedTo(4) })
    Object.defineProperty(video, 'currentTime', {
      get: () => places.at(-1) ?? 0,
      set: (at: number) => places.push(at),
    })
    begin()
    const buffer = sources[0]?.buffers[0]
    for (let i = 0; i < 6; i++) sockets[0]?.onmessage?.(bytes(10 + i))
    buffer?.done()
    expect(buffer?.appended).toEqual([10, 11 + 12 + 13 + 14 + 15])
    expect(places).toEqual([])
    buffer?.done()
    expect(places).toHaveLength(1)
  })
  it('reports the first picture once, and marks a picture that stands still for three seconds', () => {
    const { player, sockets, begin, show } = stage()
    begin()
    vi.advanceTimersByTime(120)
    show()
    show()
    expect(sockets[0]?.sent).toEqual(['{"first_picture":120}'])
    expect(player.snapshot().state.is).toBe('playing')
    vi.advanceTimersByTime(3_600)
    expect(player.snapshot().state.is).toBe('stalled')
    show()
    expect(player.snapshot().state.is).toBe('playing')
  })
  it('tries again after a break, and not after a refusal', () => {
    const { player, sockets, begin } = stage()
    begin()
    sockets[0]?.onclose?.({ code: 4503, reason: '{"kind":"unavailable","reason":"gone"}' })
    expect(player.snapshot().state).toMatchObject({ is: 'lost', reason: 'gone', play: 'p1' })
    vi.advanceTimersByTime(1_000)
    expect(sockets).toHaveLength(2)
    sockets[1]?.onmessage?.({ data: '{"error":{"kind":"denied","reason":"no","hint":"ask","play":null}}' })
    expect(player.snapshot().state).toMatchObject({ is: 'refused', kind: 'denied', hint: 'ask' })
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(2)
  })
  it('says which codec the browser cannot show', () => {
    const { player, sockets, begin } = stage(false)
    begin()
    expect(player.snapshot().state).toEqual({ is: 'unsupported', codec: 'H.264' })
    expect(sockets[0]?.closed).toBe(true)
  })
  it('begins a new source where sound joins, because a buffer keeps its tracks', () => {
    const { player, sockets, sources, urls, begin } = stage()
    begin()
    sockets[0]?.onmessage?.(bytes(1))
    sockets[0]?.onmessage?.({ data: '{"mime":"video/mp4; codecs=\\"avc1.64001f,mp4a.40.2\\""}' })
    expect([sources.length, urls.size, sockets.length]).toEqual([2, 1, 1])
    expect(sources[0]?.buffers.length).toBe(0)
    player.dispose()
    expect(urls.size).toBe(0)
  })
  it('says what a stream was converted from', () => {
    const told = '{"mime":"video/mp4; codecs=\\"avc1.42c01f\\"","converted_from":"hvc1.1.6.L93.B0"}'
    expect(readMessage(told)).toMatchObject({ codec: 'H.264', convertedFrom: 'H.265' })
    expect(readMessage('{"mime":"video/mp4"}')).toMatchObject({ convertedFrom: null })
  })
  it('gives everything back, a hundred times over', () => {
    for (let i = 0; i < 100; i++) {
      const { player, sockets, sources, urls, begin, isWatching, video } = stage()
      begin()
      sockets[0]?.onmessage?.(bytes(1))
      player.dispose()
      expect([urls.size, sources[0]?.buffers.length, sockets[0]?.closed, isWatching()]).toEqual([
        0,
        0,
        true,
        false,
      ])
      expect(video.hasAttribute('src')).toBe(false)
    }
    expect(vi.getTimerCount()).toBe(0)
  })
  it('bounds what waits for the decoder', () => {
    const { player, sockets, begin } = stage()
    begin()
    for (let i = 0; i < 4; i++) sockets[0]?.onmessage?.(bytes(9 << 20))
    expect(player.snapshot().state.is).toBe('lost')
  })
})
