import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MasterClock } from '../player/MasterClock'
import { DevicePlayer } from './DevicePlayer'
import { FragmentReader } from './fragments'
import { askedOfDevice, runAfter, runAt, runsOf } from './records'

const HOUR = 3_600_000
const noon = Date.parse('2026-11-22T04:00:00Z')
const file = (from: number, to: number) => ({
  start: new Date(noon + from * 1000).toISOString(),
  end: new Date(noon + to * 1000).toISOString(),
  name: '',
  kind: 'time',
  size_bytes: null,
  place: '',
})

describe('recordings on a device', () => {
  it('are joined where they touch and cut where they are too long', () => {
    const runs = runsOf([file(600, 900), file(0, 300), file(301, 600), file(1000, 1100)])
    expect(runs).toEqual([
      { start: noon, end: noon + 900_000 },
      { start: noon + 1_000_000, end: noon + 1_100_000 },
    ])
    expect(runAt(runs, noon + 5_000)).toBe(runs[0])
    expect(runAt(runs, noon + 950_000)).toBeNull()
    expect(runAfter(runs, noon + 900_000)).toBe(runs[1])
    expect(runAfter(runs, noon + 1_100_000)).toBeNull()
    expect(runsOf([file(0, 30 * 3600)])).toHaveLength(2)
  })
  it('are asked for on whole hours, never for the future, at most a week', () => {
    const asked = askedOfDevice({ from: noon + 1, to: noon + 5 * HOUR }, noon + HOUR)
    expect(asked).toEqual({ from: noon, to: noon + HOUR })
    const long = askedOfDevice({ from: noon - 40 * 24 * HOUR, to: noon }, noon)
    expect(long && long.to - long.from).toBe(7 * 24 * HOUR)
    expect(askedOfDevice({ from: noon + 2 * HOUR, to: noon + 3 * HOUR }, noon)).toBeNull()
  })
})

const box = (kind: string, ...parts: number[][]): number[] => {
  const body = parts.flat()
  const size = body.length + 8
  return [
    size >> 24,
    (size >> 16) & 255,
    (size >> 8) & 255,
    size & 255,
    ...Array.from(kind, (c) => c.charCodeAt(0)),
    ...body,
  ]
}
const fragment = (ticks: number) => [
  ...box(
    'moof',
    box('mfhd', [0, 0, 0, 0, 0, 0, 0, 1]),
    box(
      'traf',
      box('tfdt', [1, 0, 0, 0, 0, 0, 0, 0, 0, (ticks >> 16) & 255, (ticks >> 8) & 255, ticks & 255]),
    ),
  ),
  ...box('mdat', new Array<number>(200).fill(0x74)),
]

describe('the progress of a download', () => {
  it('is read from the boxes, however they are cut', () => {
    const bytes = new Uint8Array([
      ...box('ftyp', [1, 2, 3]),
      ...fragment(0),
      ...fragment(90_000),
      ...fragment(180_000),
    ])
    for (const step of [1, 7, 64, bytes.length]) {
      const reader = new FragmentReader()
      for (let at = 0; at < bytes.length; at += step) reader.take(bytes.subarray(at, at + step))
      expect(reader.ms).toBe(2_000)
    }
  })
  it('survives nonsense', () => {
    const reader = new FragmentReader()
    for (let n = 0; n < 50; n++) reader.take(new Uint8Array(100).fill((n * 37) % 256))
    expect(reader.ms).toBeGreaterThanOrEqual(0)
  })
})

class FakeSocket {
  binaryType = ''
  readyState = 1
  sent: { act: string; at?: string; factor?: number }[] = []
  closed = false
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  constructor(readonly url: string) {}
  send(text: string) {
    this.sent.push(JSON.parse(text) as { act: string })
  }
  close() {
    this.closed = true
  }
  says(what: unknown) {
    this.onmessage?.({ data: JSON.stringify(what) })
  }
}

class FakeSource extends EventTarget {
  readyState = 'closed'
  addSourceBuffer() {
    return Object.assign(new EventTarget(), {
      updating: false,
      buffered: { length: 0 },
      appendBuffer: () => undefined,
      remove: () => undefined,
    })
  }
}

describe('the player of a device', () => {
  const sockets: FakeSocket[] = []
  let clock: MasterClock
  let player: DevicePlayer
  const video = {
    currentTime: 0,
    playbackRate: 1,
    readyState: 4,
    buffered: { length: 1, start: () => 0, end: () => 3 },
    play: () => Promise.resolve(),
    pause: () => undefined,
    load: () => undefined,
    removeAttribute: () => undefined,
  }
  const hello = (at: number) => ({
    mime: 'video/mp4; codecs="avc1.4d401f"',
    position: new Date(at).toISOString(),
    width: 1280,
    height: 720,
  })
  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal('WebSocket', { OPEN: 1 })
    sockets.length = 0
    video.currentTime = 0
    clock = new MasterClock(noon + 60_000, () => 0)
    clock.play()
    player = new DevicePlayer(video as unknown as HTMLVideoElement, 'p', clock, {
      socket: (url) => {
        const one = new FakeSocket(url)
        sockets.push(one)
        return one as unknown as WebSocket
      },
      source: () => new FakeSource() as unknown as MediaSource,
      supports: () => true,
      objectUrl: () => 'blob:x',
      revoke: () => undefined,
    })
    player.start()
  })
  afterEach(() => {
    player.dispose()
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })
  const runs = [
    { start: noon, end: noon + 600_000 },
    { start: noon + 900_000, end: noon + 1_200_000 },
  ]

  it('asks for the recording that the clock stands in, and says where there is none', () => {
    expect(sockets).toHaveLength(0)
    player.setRuns(runs)
    const asked = new URL(sockets[0]?.url ?? '').searchParams
    expect(asked.get('from')).toBe(new Date(noon).toISOString())
    expect(asked.get('to')).toBe(new Date(noon + 600_000).toISOString())
    expect(asked.get('at')).toBe(new Date(noon + 60_000).toISOString())
    expect(clock.held).toBe(true)
    clock.seek(noon + 700_000)
    expect(player.snapshot().state.is).toBe('gap')
    expect(sockets[0]?.closed).toBe(true)
    expect(clock.held).toBe(false)
  })
  it('lets the clock follow the picture, and turns the clock into orders', () => {
    player.setRuns(runs)
    const [socket] = sockets
    socket?.says(hello(noon + 58_000))
    video.currentTime = 2
    vi.advanceTimersByTime(300)
    expect(player.snapshot().state.is).toBe('ready')
    expect(clock.at).toBe(noon + 60_000)
    expect(clock.held).toBe(false)
    clock.pause()
    clock.play()
    clock.setRate(4)
    clock.seek(noon + 300_000)
    expect(socket?.sent.map((one) => one.act)).toEqual(['pause', 'resume', 'scale', 'seek'])
    expect(socket?.sent[2]?.factor).toBe(4)
    expect(socket?.sent[3]?.at).toBe(new Date(noon + 300_000).toISOString())
    expect(clock.held).toBe(true)
    socket?.says(hello(noon + 300_000))
    video.currentTime = 0
    vi.advanceTimersByTime(300)
    expect(clock.at).toBe(noon + 300_000)
    expect(sockets).toHaveLength(1)
  })
  it('keeps the pace of a device that ignores another', () => {
    player.setRuns(runs)
    sockets[0]?.says(hello(noon + 60_000))
    clock.setRate(8)
    sockets[0]?.says({ note: { kind: 'scale_ignored', measured: 1.0 } })
    expect(clock.rate).toBe(1)
    expect(player.snapshot().note).toBe('scale_ignored')
  })
  it('goes on with the next recording, and stops after the last', () => {
    player.setRuns(runs)
    sockets[0]?.says(hello(noon + 590_000))
    vi.advanceTimersByTime(300)
    sockets[0]?.says({ ended: { complete: true, reason: 'sent' } })
    video.currentTime = 3
    vi.advanceTimersByTime(300)
    expect(sockets).toHaveLength(2)
    expect(clock.at).toBe(noon + 900_000)
  })
  it('says what went wrong and asks again only when told to', () => {
    player.setRuns(runs)
    sockets[0]?.says({ error: { kind: 'unavailable', reason: 'the device answered 404' } })
    expect(player.snapshot().state).toMatchObject({ is: 'failed', reason: 'the device answered 404' })
    clock.play()
    expect(sockets).toHaveLength(1)
    player.again()
    expect(sockets).toHaveLength(2)
  })
})
