import { BASE } from './client'
import type { EventMap } from './types'

export type EventType = keyof EventMap
export const EVENT_TYPES: readonly EventType[] = [
  'state',
  'position',
  'counts',
  'points',
  'device',
  'drift',
  'job',
  'play',
  'note',
  'ptz',
  'lagged',
]

export type StreamStatus = 'connecting' | 'live' | 'lost'

export type StreamMessage =
  { is: 'status'; status: StreamStatus } | { is: 'event'; type: EventType; payload: unknown }

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000

/** 1 s, 2 s, 4 s … 30 s. */
export function retryDelay(attempt: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** attempt, LAST_RETRY_MS)
}

/** The part of EventSource we use, so that tests can stand in for the network. */
export interface Source {
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void
  close(): void
  readonly readyState: number
  onopen: ((event: Event) => void) | null
  onerror: ((event: Event) => void) | null
}

const CLOSED = 2

/**
 * Holds one server-sent event stream open for ever and remembers where it was: after a break the browser's own
 * retry sends Last-Event-ID, and a stream the browser gave up on is reopened with `?after=`.
 */
export class EventStream {
  #source: Source | null = null
  #after = ''
  #attempt = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #stopped = true
  status: StreamStatus = 'connecting'

  constructor(
    private readonly send: (message: StreamMessage) => void,
    private readonly open: (url: string) => Source = (url) => new EventSource(url, { withCredentials: true }),
  ) {}

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#connect()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#source?.close()
    this.#source = null
    this.#after = ''
    this.#attempt = 0
    this.#say('connecting')
  }

  #say(status: StreamStatus): void {
    this.status = status
    this.send({ is: 'status', status })
  }

  #connect(): void {
    const query = this.#after === '' ? '' : `?after=${encodeURIComponent(this.#after)}`
    const source = this.open(`${BASE}/events${query}`)
    this.#source = source
    source.onopen = () => {
      this.#attempt = 0
      this.#say('live')
    }
    source.onerror = () => {
      if (this.#stopped) return
      this.#say('lost')
      if (source.readyState !== CLOSED) return
      source.close()
      this.#timer = setTimeout(() => this.#connect(), retryDelay(this.#attempt))
      this.#attempt += 1
    }
    for (const type of EVENT_TYPES) {
      source.addEventListener(type, (event) => {
        if (event.lastEventId !== '') this.#after = event.lastEventId
        let payload: unknown
        try {
          payload = JSON.parse(event.data)
        } catch {
          return
        }
        this.send({ is: 'event', type, payload })
      })
    }
  }
}
