import { urlOf } from '../../api/client'
import type { Id } from '../../api/types'
import type { MasterClock } from '../player/MasterClock'
import { isFinal, readClose, readMessage } from '../player/messages'
import type { Stretch } from '../playback/axis'
import { runAfter, runAt } from './records'

export type DeviceState =
  | { is: 'loading' }
  | { is: 'gap' }
  | { is: 'asking' }
  | { is: 'buffering' }
  | { is: 'ready' }
  | { is: 'ended'; reason: string }
  | { is: 'failed'; kind: string; reason: string; hint: string | null; play: string | null }
  | { is: 'unsupported'; codec: string }

export interface DeviceSnapshot {
  state: DeviceState
  /** Whether its recording has sound; null before any has come. */
  sound: boolean | null
  /** Whether privacy masks are drawn on it. */
  masked: boolean
  /** Times real time, as the server measured it. */
  measured?: number
  /** What the device does not do though it says so. */
  note: 'scale_ignored' | 'scale_missed' | 'pause_ignored' | 'scale_refused' | null
}

/** What the player takes from the browser; tests bring their own. */
export interface DeviceMeans {
  socket: (url: string) => WebSocket
  source: () => MediaSource
  supports: (mime: string) => boolean
  objectUrl: (source: MediaSource) => string
  revoke: (url: string) => void
}

const browser: DeviceMeans = {
  socket: (url) => new WebSocket(url),
  source: () => new MediaSource(),
  supports: (mime) => typeof MediaSource !== 'undefined' && MediaSource.isTypeSupported(mime),
  objectUrl: (source) => URL.createObjectURL(source),
  revoke: (url) => URL.revokeObjectURL(url),
}

const TICK_MS = 250
/** The clock was moved by somebody when it is so far from the picture. */
const SOUGHT_MS = 1_500
const DRIFT_MS = 400
/** So much may wait in the browser, in seconds of picture; then the device is told to stand still. */
const FULL_S = 60
const HUNGRY_S = 15
const KEEP_BEHIND_S = 10
export const DEVICE_SPEEDS = [0.25, 0.5, 1, 2, 4, 8] as const

type Fields = Record<string, unknown>
const record = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null ? (value as Fields) : null

/**
 * A recording on a device: WebSocket → SourceBuffer → video element. The page's clock says where and how fast; while it
 * plays, the clock follows the picture. Each epoch the server announces begins at time zero of a new source.
 */
export class DevicePlayer {
  readonly #video: HTMLVideoElement
  readonly #point: Id
  readonly #clock: MasterClock
  readonly #means: DeviceMeans
  readonly #listeners = new Set<() => void>()
  #snapshot: DeviceSnapshot = { state: { is: 'loading' }, sound: null, masked: false, note: null }
  #runs: readonly Stretch[] | null = null
  #run: Stretch | null = null
  #socket: WebSocket | null = null
  #source: MediaSource | null = null
  #buffer: SourceBuffer | null = null
  #objectUrl: string | null = null
  #queue: ArrayBuffer[] = []
  /** The recorded moment at time zero of the source, and the one that was asked for last. */
  #begins = 0
  #wanted: number | null = null
  #told = { running: true, rate: 1, throttled: false }
  #own = false
  #unsubscribe: (() => void) | null = null
  #ticker: ReturnType<typeof setInterval> | null = null
  #disposed = false

  constructor(video: HTMLVideoElement, point: Id, clock: MasterClock, means: Partial<DeviceMeans> = {}) {
    this.#video = video
    this.#point = point
    this.#clock = clock
    this.#means = { ...browser, ...means }
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
  readonly snapshot = (): DeviceSnapshot => this.#snapshot

  /** The recorded moment of the picture shown. */
  get position(): number | null {
    return this.#source === null || this.#wanted !== null
      ? null
      : this.#begins + this.#video.currentTime * 1000
  }

  start(): void {
    this.#video.playsInline = true
    this.#unsubscribe = this.#clock.subscribe(() => this.#commanded())
    this.#ticker = setInterval(() => this.#tick(), TICK_MS)
    this.#commanded()
  }

  /** What is recorded, without breaks; null while it is not known. */
  setRuns(runs: readonly Stretch[] | null): void {
    this.#runs = runs
    this.#commanded()
  }

  /** Ask again after a failure. */
  again(): void {
    this.#hangUp()
    this.#set({ is: 'loading' })
    this.#commanded()
  }

  dispose(): void {
    this.#disposed = true
    this.#unsubscribe?.()
    if (this.#ticker !== null) clearInterval(this.#ticker)
    this.#hangUp()
    this.#clock.release(this)
    this.#listeners.clear()
  }

  // --- the clock leads

  #commanded(): void {
    if (this.#own || this.#disposed || this.#runs === null) return
    const { at, running } = this.#clock
    if (this.#snapshot.state.is === 'failed' || this.#snapshot.state.is === 'unsupported') {
      if (this.#wanted === null || Math.abs(at - this.#wanted) < SOUGHT_MS) return
    }
    const run = this.#run && this.#run.start <= at && at < this.#run.end ? this.#run : runAt(this.#runs, at)
    if (run === null) {
      this.#hangUp()
      this.#clock.release(this)
      this.#set({ is: 'gap' })
      return
    }
    if (this.#socket === null || this.#run !== run) {
      this.#open(run, at)
      return
    }
    const shown = this.position ?? this.#wanted ?? at
    if (Math.abs(at - shown) > SOUGHT_MS && at !== this.#wanted) {
      this.#wanted = at
      this.#wait()
      this.#told.running = true
      this.#send({ act: 'seek', at: new Date(at).toISOString() })
    }
    const rate = DEVICE_SPEEDS.find((one) => one >= this.#clock.rate) ?? 8
    if (this.#clock.rate !== rate) this.#quietly(() => this.#clock.setRate(rate))
    if (rate !== this.#told.rate) {
      this.#told.rate = rate
      this.#told.running = true
      this.#patch({ note: null })
      this.#send({ act: 'scale', factor: rate })
    }
    this.#pace(running)
    if (running) void this.#video.play().catch(() => undefined)
    else this.#video.pause()
    this.#video.playbackRate = rate
  }

  /** Lets the device stand still or go on, where it does not already. */
  #pace(running: boolean): void {
    const wanted = running && !this.#told.throttled
    if (wanted === this.#told.running) return
    this.#told.running = wanted
    const at = new Date(this.#edge()).toISOString()
    this.#send(wanted ? { act: 'resume', at } : { act: 'pause' })
  }

  /** The newest recorded moment that has come. */
  #edge(): number {
    const { buffered } = this.#video
    const end = buffered.length === 0 ? this.#video.currentTime : buffered.end(buffered.length - 1)
    return this.#begins + end * 1000
  }

  #quietly(act: () => void): void {
    this.#own = true
    try {
      act()
    } finally {
      this.#own = false
    }
  }

  #wait(): void {
    this.#quietly(() => this.#clock.hold(this))
    this.#set({ is: 'buffering' })
  }

  #tick(): void {
    if (this.#socket === null || this.#source === null || this.#wanted !== null) return
    const { buffered, currentTime } = this.#video
    const ahead = buffered.length === 0 ? 0 : buffered.end(buffered.length - 1) - currentTime
    if (ahead > FULL_S !== this.#told.throttled && (ahead > FULL_S || ahead < HUNGRY_S)) {
      this.#told.throttled = ahead > FULL_S
      this.#pace(this.#clock.running)
    }
    const starved = ahead < 0.05 && this.#video.readyState < 3
    if (starved && this.#snapshot.state.is === 'ready' && this.#clock.running) this.#wait()
    if (!starved && this.#snapshot.state.is === 'buffering') this.#showing()
    const shown = this.position
    if (shown !== null && this.#snapshot.state.is === 'ready' && Math.abs(shown - this.#clock.at) > DRIFT_MS)
      this.#quietly(() => this.#clock.seek(shown))
    if (shown !== null && this.#run && this.#snapshot.state.is === 'ended' && ahead < 0.1) this.#goOn()
  }

  #showing(): void {
    this.#set({ is: 'ready' })
    const shown = this.position
    this.#quietly(() => {
      if (shown !== null) this.#clock.seek(shown)
      this.#clock.release(this)
    })
    if (this.#clock.running) void this.#video.play().catch(() => undefined)
  }

  /** After the end of one recording comes the next one. */
  #goOn(): void {
    const next = this.#run && this.#runs ? runAfter(this.#runs, this.#run.end) : null
    this.#hangUp()
    if (next) this.#clock.seek(next.start)
    else this.#quietly(() => this.#clock.pause())
  }

  // --- the device

  #open(run: Stretch, at: number): void {
    this.#hangUp()
    this.#run = run
    this.#wanted = at
    this.#told = { running: true, rate: 1, throttled: false }
    this.#quietly(() => this.#clock.hold(this))
    this.#patch({ state: { is: 'asking' }, note: null })
    const url = new URL(
      urlOf(`/points/${this.#point}/device-playback`, {
        from: new Date(run.start).toISOString(),
        to: new Date(run.end).toISOString(),
        at: new Date(Math.max(at, run.start)).toISOString(),
      }),
      window.location.href,
    )
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = this.#means.socket(url.href)
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.#socket !== socket) return
      if (typeof event.data === 'string') this.#hear(event.data)
      else if (event.data instanceof ArrayBuffer && this.#source) {
        this.#queue.push(event.data)
        this.#pump()
      }
    }
    socket.onclose = (event) => {
      if (this.#socket !== socket || this.#snapshot.state.is === 'ended') return
      const { kind, reason, hint, play } = readClose(event.code, event.reason)
      this.#fail(kind, reason, hint, play)
    }
  }

  #hear(raw: string): void {
    const message = readMessage(raw)
    if (message?.is === 'error') {
      this.#fail(message.kind, message.reason, message.hint, message.play)
      return
    }
    const body = record(JSON.parse(raw) as unknown)
    if (!body) return
    if (message?.is === 'parameters') {
      if (!this.#means.supports(message.mime)) {
        this.#hangUp()
        this.#set({ is: 'unsupported', codec: message.codec })
        return
      }
      this.#patch({ sound: message.sound, masked: message.masked })
      this.#epoch(message.mime, Date.parse(String(body.position)))
      return
    }
    const note = record(body.note)
    if (note?.kind === 'pause_ignored') this.#patch({ note: 'pause_ignored' })
    if (note?.kind === 'scale_missed') this.#patch({ note: 'scale_missed', measured: Number(note.measured) })
    if (note?.kind === 'scale_ignored') this.#unscaled('scale_ignored')
    const refused = record(body.refused)
    if (refused?.act === 'scale') this.#unscaled('scale_refused')
    else if (refused) this.#fail(String(refused.kind), String(refused.reason), null, null)
    const ended = record(body.ended)
    if (ended) {
      if (ended.complete !== true && this.#run && this.#edge() < this.#run.end - 5_000)
        this.#fail(
          'unavailable',
          String(ended.reason),
          null,
          typeof ended.play === 'string' ? ended.play : null,
        )
      else this.#set({ is: 'ended', reason: String(ended.reason) })
    }
  }

  /** The device keeps its pace: so does the picture. */
  #unscaled(note: 'scale_ignored' | 'scale_refused'): void {
    this.#told.rate = 1
    this.#video.playbackRate = 1
    this.#quietly(() => this.#clock.setRate(1))
    this.#patch({ note })
  }

  #epoch(mime: string, position: number): void {
    this.#dropSource()
    this.#begins = position
    this.#wanted = null
    this.#told.throttled = false
    const source = this.#means.source()
    this.#source = source
    source.addEventListener(
      'sourceopen',
      () => {
        if (this.#source !== source) return
        this.#revoke()
        const buffer = source.addSourceBuffer(mime)
        buffer.addEventListener('updateend', () => this.#pump())
        this.#buffer = buffer
        this.#pump()
      },
      { once: true },
    )
    this.#objectUrl = this.#means.objectUrl(source)
    this.#video.src = this.#objectUrl
    this.#video.playbackRate = this.#told.rate
    this.#set({ is: 'buffering' })
  }

  #pump(): void {
    const buffer = this.#buffer
    if (buffer === null || buffer.updating || this.#source?.readyState !== 'open') return
    const behind = this.#video.currentTime - KEEP_BEHIND_S
    const from = buffer.buffered.length === 0 ? 0 : buffer.buffered.start(0)
    if (behind - from > KEEP_BEHIND_S) {
      buffer.remove(from, behind)
      return
    }
    const next = this.#queue.shift()
    if (next === undefined) return
    try {
      buffer.appendBuffer(next)
    } catch (cause) {
      if (cause instanceof DOMException && cause.name === 'QuotaExceededError') {
        // The browser is full: the device stands still until the picture has gone on.
        this.#queue.unshift(next)
        this.#told.throttled = true
        this.#pace(this.#clock.running)
      } else {
        this.#fail('unavailable', String(cause), null, null)
      }
    }
  }

  #send(order: Record<string, unknown>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(order))
  }

  #fail(kind: string, reason: string, hint: string | null, play: string | null): void {
    this.#hangUp()
    this.#wanted = this.#clock.at
    this.#quietly(() => {
      this.#clock.pause()
      this.#clock.release(this)
    })
    this.#set({ is: 'failed', kind: isFinal(kind) ? kind : 'unavailable', reason, hint, play })
  }

  #hangUp(): void {
    const socket = this.#socket
    this.#socket = null
    if (socket) {
      socket.onmessage = socket.onclose = null
      socket.close(1000)
    }
    this.#run = null
    this.#wanted = null
    this.#dropSource()
  }

  #dropSource(): void {
    const had = this.#source !== null
    this.#source = null
    this.#buffer = null
    this.#queue = []
    this.#revoke()
    if (had) {
      this.#video.playbackRate = 1
      this.#video.removeAttribute('src')
      this.#video.load()
    }
  }

  #revoke(): void {
    if (this.#objectUrl === null) return
    this.#means.revoke(this.#objectUrl)
    this.#objectUrl = null
  }

  #set(state: DeviceState): void {
    this.#patch({ state })
  }

  #patch(part: Partial<DeviceSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...part }
    for (const listener of this.#listeners) listener()
  }
}
