import { backoff, steer, trimmable } from './edge'
import { isFinal, readClose, readMessage, type Flow, type Parameters, type Refused } from './messages'

export type LiveState =
  | { is: 'idle' }
  | { is: 'connecting' }
  | { is: 'waiting' }
  | { is: 'playing' }
  | { is: 'stalled'; since: number }
  | { is: 'lost'; reason: string; retryAt: number; play: string | null }
  | { is: 'refused'; kind: string; reason: string; hint: string | null; play: string | null }
  | { is: 'unsupported'; codec: string }

export interface LiveMetrics {
  fps: number
  bitsPerSecond: number
  /** Seconds between the picture shown and the newest one here. */
  lag: number
  /** Seconds since the picture shown came to the server; null while that is not known. */
  age: number | null
  /**
   * When the picture shown came to the server, by the server's clock, less the browser's clock at that moment, ms: what
   * is shown moves on with the clock. Null while that is not known.
   */
  behind: number | null
  /** Share of the packets that did not arrive at the server lately. */
  loss: number
  dropped: number
  decoder: 'hardware' | 'software' | null
}

export interface LiveSnapshot {
  state: LiveState
  parameters: Parameters | null
  metrics: LiveMetrics
  firstPictureMs: number | null
}

/** What the player takes from the browser; tests bring their own. */
export interface LiveMeans {
  socket: (url: string) => WebSocket
  source: () => MediaSource
  supports: (mime: string) => boolean
  objectUrl: (source: MediaSource) => string
  revoke: (url: string) => void
  now: () => number
  decoder: (parameters: Parameters) => Promise<'hardware' | 'software' | null>
}

async function decoderOf({ mime, width, height }: Parameters): Promise<'hardware' | 'software' | null> {
  if (!('mediaCapabilities' in navigator)) return null
  const video = { contentType: mime.replace(/,\s*mp4a[^"]*/, ''), width, height, bitrate: 4e6, framerate: 25 }
  try {
    const answer = await navigator.mediaCapabilities.decodingInfo({ type: 'media-source', video })
    return answer.powerEfficient ? 'hardware' : 'software'
  } catch {
    return null
  }
}

const browser: LiveMeans = {
  socket: (url) => new WebSocket(url),
  source: () => new MediaSource(),
  supports: (mime) => typeof MediaSource !== 'undefined' && MediaSource.isTypeSupported(mime),
  objectUrl: (source) => URL.createObjectURL(source),
  revoke: (url) => URL.revokeObjectURL(url),
  now: () => performance.now(),
  decoder: decoderOf,
}

type Queued = { bytes: ArrayBuffer } | { mime: string }

const TICK_MS = 250
const STALE_MS = 3_000
const SILENT_MS = 15_000
const FRAMES_MS = 3_500
const SETTLED_MS = 10_000
/** The cached group comes in within this time of the first bytes; and so long a nudge may take. */
const BEGIN_MS = 1_500
const HURRY_MS = 5_000
const CLOCK_SET_MS = 10_000
const CLOCK_DRIFT_MS = 5
/** Bytes waiting for the decoder; beyond that the player starts anew at the edge. */
export const QUEUE_BYTES = 24 << 20
export const NOTHING: LiveMetrics = {
  fps: 0,
  bitsPerSecond: 0,
  lag: 0,
  age: null,
  behind: null,
  loss: 0,
  dropped: 0,
  decoder: null,
}

/**
 * One live picture: WebSocket → SourceBuffer → video element. Knows nothing of React. `dispose` gives everything back;
 * the video element may then serve the next player.
 */
export class LivePlayer {
  readonly #video: HTMLVideoElement
  readonly #url: string
  readonly #means: LiveMeans
  readonly #listeners = new Set<() => void>()
  #snapshot: LiveSnapshot = {
    state: { is: 'idle' },
    parameters: null,
    metrics: NOTHING,
    firstPictureMs: null,
  }
  #socket: WebSocket | null = null
  #source: MediaSource | null = null
  #buffer: SourceBuffer | null = null
  #objectUrl: string | null = null
  #queue: Queued[] = []
  #queued = 0
  #ticker: ReturnType<typeof setInterval> | null = null
  #retry: ReturnType<typeof setTimeout> | null = null
  #frame: number | null = null
  #tries = 0
  #askedAt = 0
  #playingSince: number | null = null
  #atEdge = false
  #begunAt = 0
  #hurryingSince: number | null = null
  #shownAt = 0
  #shownTime = -1
  #heardAt = 0
  #received: { at: number; bytes: number }[] = []
  /** How many frames the element had shown, at moments of the last seconds. */
  #frames: { at: number; shown: number }[] = []
  #measuredAt = 0
  #flow: Flow | null = null
  /** The browser's clock minus the server's, ms: the least seen, as the way here only adds to it. */
  #ahead = Infinity
  #lastError: Refused | null = null
  #disposed = false

  constructor(video: HTMLVideoElement, url: string, means: Partial<LiveMeans> = {}) {
    this.#video = video
    this.#url = url
    this.#means = { ...browser, ...means }
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
  readonly snapshot = (): LiveSnapshot => this.#snapshot

  start(): void {
    if (this.#disposed || this.#socket) return
    this.#video.playsInline = true
    this.#connect()
  }

  /** Try again now, whatever it waits for. */
  again(): void {
    if (this.#disposed) return
    this.#tries = 0
    this.#hangUp()
    this.#connect()
  }

  /** Closes the connection and empties the video element. The player can't be used again. */
  dispose(): void {
    this.#disposed = true
    this.#hangUp()
    this.#listeners.clear()
  }

  // --- connection

  #connect(): void {
    this.#lastError = null
    this.#askedAt = this.#means.now()
    this.#set({ is: 'connecting' }, { parameters: null, metrics: NOTHING, firstPictureMs: null })
    const socket = this.#means.socket(this.#url)
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    this.#heardAt = this.#means.now()
    socket.onopen = () => this.#set({ is: 'waiting' })
    socket.onmessage = (event: MessageEvent<unknown>) => {
      this.#heardAt = this.#means.now()
      if (typeof event.data === 'string') this.#hear(event.data)
      else if (event.data instanceof ArrayBuffer) this.#take(event.data)
    }
    socket.onclose = (event) => {
      if (this.#socket !== socket) return
      this.#fail(this.#lastError ?? readClose(event.code, event.reason))
    }
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS)
  }

  #hear(raw: string): void {
    const message = readMessage(raw)
    if (message === null) return
    if (message.is === 'error') {
      this.#lastError = message
      this.#fail(message)
      return
    }
    if (message.is === 'flow') {
      this.#flow = message
      const ahead = Date.now() - message.at
      // a clock that was set is another clock; one that drifts is followed
      this.#ahead = ahead > this.#ahead + CLOCK_SET_MS ? ahead : Math.min(this.#ahead + CLOCK_DRIFT_MS, ahead)
      return
    }
    this.#flow = null // another epoch has another axis
    if (!this.#means.supports(message.mime)) {
      this.#hangUp()
      this.#set({ is: 'unsupported', codec: message.codec }, { parameters: message })
      return
    }
    const known = this.#snapshot.parameters
    this.#patch({ parameters: message })
    if (known?.mime !== message.mime)
      void this.#means.decoder(message).then((decoder) => {
        if (!this.#disposed) this.#patch({ metrics: { ...this.#snapshot.metrics, decoder } })
      })
    if (this.#source !== null && known !== null && known.sound !== message.sound) this.#closeSource() // a buffer keeps the tracks it began with
    if (this.#source === null) this.#open(message.mime)
    else this.#enqueue({ mime: message.mime })
  }

  #fail({ kind, reason, hint, play }: Refused): void {
    const trace = play ?? this.#snapshot.parameters?.play ?? null
    if (this.#playingSince !== null && this.#means.now() - this.#playingSince > SETTLED_MS) this.#tries = 0
    this.#hangUp()
    if (isFinal(kind)) {
      this.#set({ is: 'refused', kind, reason, hint, play: trace })
      return
    }
    const wait = backoff(this.#tries) * 1000
    this.#tries += 1
    this.#set({ is: 'lost', reason, retryAt: Date.now() + wait, play: trace })
    this.#retry = setTimeout(() => this.#connect(), wait)
  }

  // --- media

  #open(mime: string): void {
    const source = this.#means.source()
    this.#source = source
    source.addEventListener(
      'sourceopen',
      () => {
        this.#revoke()
        if (this.#source !== source) return
        try {
          const buffer = source.addSourceBuffer(mime)
          // What a viewer skips on a slow line closes up, and another clock after new parameters does no harm.
          buffer.mode = 'sequence'
          buffer.addEventListener('updateend', () => this.#appended())
          buffer.addEventListener('error', () => this.#broken('the browser could not read the stream'))
          this.#buffer = buffer
          this.#pump()
        } catch (cause) {
          this.#broken(String(cause))
        }
      },
      { once: true },
    )
    this.#begunAt = this.#means.now()
    this.#objectUrl = this.#means.objectUrl(source)
    this.#video.src = this.#objectUrl
    this.#watchFrames()
  }

  #take(bytes: ArrayBuffer): void {
    const now = this.#means.now()
    this.#received.push({ at: now, bytes: bytes.byteLength })
    if (this.#queued + bytes.byteLength > QUEUE_BYTES) {
      this.#broken('the decoder is too slow')
      return
    }
    this.#enqueue({ bytes })
  }

  #enqueue(one: Queued): void {
    this.#queue.push(one)
    if ('bytes' in one) this.#queued += one.bytes.byteLength
    this.#pump()
  }

  #pump(): void {
    const buffer = this.#buffer
    if (buffer === null || buffer.updating) return
    const next = this.#next()
    if (next === undefined) return
    try {
      if ('mime' in next) {
        buffer.changeType(next.mime)
        this.#pump()
        return
      }
      this.#queued -= next.bytes.byteLength
      buffer.appendBuffer(next.bytes)
    } catch (cause) {
      if ('bytes' in next && cause instanceof DOMException && cause.name === 'QuotaExceededError') {
        this.#queue.unshift(next)
        this.#queued += next.bytes.byteLength
        this.#trim(true)
      } else {
        this.#broken(String(cause))
      }
    }
  }

  /** What is appended next: all bytes that wait in a row, at once. The cached group comes as many small messages. */
  #next(): Queued | undefined {
    const first = this.#queue.shift()
    if (first === undefined || 'mime' in first) return first
    const parts = [first.bytes]
    for (let one = this.#queue[0]; one !== undefined && 'bytes' in one; one = this.#queue[0]) {
      parts.push(one.bytes)
      this.#queue.shift()
    }
    if (parts.length === 1) return first
    const whole = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0))
    let at = 0
    for (const part of parts) {
      whole.set(new Uint8Array(part), at)
      at += part.byteLength
    }
    return { bytes: whole.buffer }
  }

  #appended(): void {
    if (this.#buffer === null) return
    // Every seek decodes from the key frame again: none while more is waiting to come in.
    if (this.#queue.length === 0) this.#steer()
    this.#trim(false)
    this.#pump()
  }

  #trim(hard: boolean): void {
    const buffer = this.#buffer
    if (buffer === null || buffer.updating || buffer.buffered.length === 0) return
    const from = buffer.buffered.start(0)
    const part = trimmable(this.#video.currentTime, from)
    if (part) buffer.remove(part.from, part.to)
    else if (hard) {
      const to = this.#video.currentTime - 0.5
      if (to > from) buffer.remove(from, to)
      else this.#broken('the browser gives no more memory')
    }
  }

  #steer(): void {
    const { buffered } = this.#video
    if (buffered.length === 0) return
    const now = this.#means.now()
    const hurried = this.#hurryingSince !== null && now - this.#hurryingSince > HURRY_MS
    const { seek, rate } = steer({
      at: this.#video.currentTime,
      start: buffered.start(buffered.length - 1),
      end: buffered.end(buffered.length - 1),
      rate: this.#video.playbackRate,
      first: !this.#atEdge,
      impatient: hurried || now - this.#begunAt < BEGIN_MS,
    })
    if (rate > 1) this.#hurryingSince ??= now
    else this.#hurryingSince = null
    if (seek !== null) this.#video.currentTime = seek
    this.#atEdge = true
    if (this.#video.playbackRate !== rate) this.#video.playbackRate = rate
    // A browser that forbids it leaves the picture standing, and the tile then says so by itself.
    if (this.#video.paused) void this.#video.play().catch(() => undefined)
  }

  #broken(reason: string): void {
    if (this.#socket === null && this.#source === null) return
    this.#fail({ is: 'error', kind: 'unavailable', reason, hint: null, play: null })
  }

  // --- what is seen

  #watchFrames(): void {
    if (!('requestVideoFrameCallback' in this.#video)) return
    const next = () => {
      this.#frame = this.#video.requestVideoFrameCallback(() => {
        this.#shown()
        next()
      })
    }
    next()
  }

  #shown(): void {
    const now = this.#means.now()
    this.#shownAt = now
    if (this.#socket === null) return
    if (this.#snapshot.firstPictureMs === null) {
      const firstPictureMs = Math.round(now - this.#askedAt)
      this.#patch({ firstPictureMs })
      this.#socket.send(JSON.stringify({ first_picture: firstPictureMs }))
    }
    if (this.#snapshot.state.is !== 'playing') {
      this.#playingSince ??= now
      this.#set({ is: 'playing' })
    }
  }

  #tick(): void {
    const now = this.#means.now()
    this.#steer()
    const { currentTime } = this.#video
    if (currentTime !== this.#shownTime) {
      // Hidden pages present no frames though the picture goes on; the clock of the element tells.
      const moved = this.#shownTime >= 0 && !this.#video.paused
      this.#shownTime = currentTime
      if (moved && this.#snapshot.firstPictureMs !== null) this.#shown()
      else if (moved && !('requestVideoFrameCallback' in this.#video)) this.#shown()
    }
    if (this.#snapshot.state.is === 'playing' && now - this.#shownAt > STALE_MS)
      this.#set({ is: 'stalled', since: Date.now() - (now - this.#shownAt) })
    if (this.#socket && now - this.#heardAt > SILENT_MS && this.#source !== null) this.#broken('')
    if (now - this.#measuredAt >= 1_000) this.#measure(now)
  }

  #measure(now: number): void {
    const window = Math.min(3_000, Math.max(1_000, now - this.#askedAt))
    this.#measuredAt = now
    this.#received = this.#received.filter((one) => now - one.at <= window)
    if (this.#source === null) return
    const { buffered, currentTime } = this.#video
    const quality = 'getVideoPlaybackQuality' in this.#video ? this.#video.getVideoPlaybackQuality() : null
    // The element counts; frame callbacks come at most once per draw of the page and would tell too few on a busy one.
    const shown = quality === null ? 0 : quality.totalVideoFrames - quality.droppedVideoFrames
    this.#frames = this.#frames.filter((one) => now - one.at <= FRAMES_MS && one.shown <= shown)
    this.#frames.push({ at: now, shown })
    const received = this.#flow?.received ?? null
    const receivedAt = received === null ? null : received.at - (received.media - currentTime) * 1000
    const since = this.#frames[0] ?? { at: now, shown }
    this.#patch({
      metrics: {
        fps: now > since.at ? ((shown - since.shown) * 1000) / (now - since.at) : 0,
        bitsPerSecond: (this.#received.reduce((sum, one) => sum + one.bytes, 0) * 8000) / window,
        lag: buffered.length === 0 ? 0 : Math.max(0, buffered.end(buffered.length - 1) - currentTime),
        behind: receivedAt === null ? null : receivedAt - Date.now(),
        age: receivedAt === null ? null : Math.max(0, Date.now() - this.#ahead - receivedAt) / 1000,
        loss: this.#flow?.loss ?? 0,
        dropped: quality?.droppedVideoFrames ?? 0,
        decoder: this.#snapshot.metrics.decoder,
      },
    })
  }

  // --- ends

  #hangUp(): void {
    if (this.#retry !== null) clearTimeout(this.#retry)
    if (this.#ticker !== null) clearInterval(this.#ticker)
    this.#retry = this.#ticker = null
    const socket = this.#socket
    this.#socket = null
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close(1000)
    }
    const had = this.#source !== null
    this.#closeSource()
    this.#received = []
    this.#frames = []
    this.#playingSince = null
    this.#shownTime = -1
    if (had) {
      this.#video.playbackRate = 1
      this.#video.removeAttribute('src')
      this.#video.load()
    }
  }

  #closeSource(): void {
    if (this.#frame !== null && 'cancelVideoFrameCallback' in this.#video)
      this.#video.cancelVideoFrameCallback(this.#frame)
    this.#frame = null
    if (this.#source?.readyState === 'open' && this.#buffer) {
      try {
        this.#source.removeSourceBuffer(this.#buffer)
      } catch {
        // It was taken away with the element.
      }
    }
    this.#source = null
    this.#buffer = null
    this.#queue = []
    this.#queued = 0
    this.#atEdge = false
    this.#revoke()
  }

  #revoke(): void {
    if (this.#objectUrl === null) return
    this.#means.revoke(this.#objectUrl)
    this.#objectUrl = null
  }

  #set(state: LiveState, also: Partial<LiveSnapshot> = {}): void {
    this.#patch({ ...also, state })
  }

  #patch(part: Partial<LiveSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...part }
    for (const listener of this.#listeners) listener()
  }
}
