import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { EventStream, retryDelay, type Source, type StreamMessage } from './stream'

class FakeSource implements Source {
  readyState = 0
  onopen: ((event: Event) => void) | null = null
  onerror: ((event: Event) => void) | null = null
  closed = false
  readonly listeners = new Map<string, (event: MessageEvent<string>) => void>()
  constructor(readonly url: string) {}
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void) {
    this.listeners.set(type, listener)
  }
  close() {
    this.closed = true
  }
  emit(type: string, data: string, lastEventId = '') {
    this.listeners.get(type)?.(new MessageEvent(type, { data, lastEventId }))
  }
  fail(readyState: number) {
    this.readyState = readyState
    this.onerror?.(new Event('error'))
  }
}

let sources: FakeSource[] = []
let said: StreamMessage[] = []
const latest = () => {
  const source = sources.at(-1)
  if (!source) throw new Error('no source was opened')
  return source
}
const make = () =>
  new EventStream(
    (message) => said.push(message),
    (url) => {
      const source = new FakeSource(url)
      sources.push(source)
      return source
    },
  )

beforeEach(() => {
  vi.useFakeTimers()
  sources = []
  said = []
})
afterEach(() => vi.useRealTimers())

describe('EventStream', () => {
  it('passes events on and drops what is no JSON', () => {
    const stream = make()
    stream.start()
    latest().onopen?.(new Event('open'))
    latest().emit('state', '{"changes":[]}', '7')
    latest().emit('state', 'not json', '8')
    expect(said).toEqual([
      { is: 'status', status: 'live' },
      { is: 'event', type: 'state', payload: { changes: [] } },
    ])
  })
  it('leaves a retry to the browser while it still tries', () => {
    make().start()
    latest().fail(0)
    vi.advanceTimersByTime(60_000)
    expect(sources).toHaveLength(1)
    expect(said.at(-1)).toEqual({ is: 'status', status: 'lost' })
  })
  it('reopens after the last event once the browser gave up, ever slower', () => {
    make().start()
    latest().emit('counts', '{}', '41')
    latest().fail(2)
    vi.advanceTimersByTime(retryDelay(0))
    expect(sources).toHaveLength(2)
    expect(latest().url).toBe('/api/v1/events?after=41')
    latest().fail(2)
    vi.advanceTimersByTime(retryDelay(1) - 1)
    expect(sources).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(sources).toHaveLength(3)
  })
  it('starts once, stops for good, and forgets where it was', () => {
    const stream = make()
    stream.start()
    stream.start()
    expect(sources).toHaveLength(1)
    latest().emit('note', '{}', '5')
    latest().fail(2)
    stream.stop()
    vi.advanceTimersByTime(60_000)
    expect(sources).toHaveLength(1)
    expect(latest().closed).toBe(true)
    stream.start()
    expect(latest().url).toBe('/api/v1/events')
  })
})

it('waits at most half a minute', () => {
  expect([0, 1, 2, 10].map(retryDelay)).toEqual([1_000, 2_000, 4_000, 30_000])
})
