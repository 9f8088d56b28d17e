import Hls, { Events, PlaylistLevelType, type ErrorData, type LevelDetails } from 'hls.js'
import { urlOf } from '../../api/client'
import type { Id } from '../../api/types'
import { correct, KEY_FRAMES_ABOVE, type MasterClock } from './MasterClock'
import { frameFrom, framesOf } from './frames'
import { codecName, showsH265 } from './messages'
import { mediaAt, nextAfter, pieceAt, wallAt, type Piece } from './wallclock'

export type PlaybackState =
  | { is: 'loading' }
  | { is: 'ready' }
  | { is: 'buffering' }
  /** Nothing was recorded here; `until` is when it goes on, as far as the playlist tells. */
  | { is: 'gap'; until: number | null }
  | { is: 'refused'; kind: string; reason: string; hint: string | null }
  | { is: 'failed'; reason: string }
  | { is: 'unsupported'; codec: string }

/** What is being played, as far as it is known. */
export interface Tracks {
  /** `H.264` */
  codec: string | null
  /** What the camera sent, where the server makes something else of it. */
  convertedFrom: string | null
  /** Whether privacy masks are drawn on it. */
  masked: boolean
  sound: boolean | null
}

const UNKNOWN: Tracks = { codec: null, convertedFrom: null, masked: false, sound: null }
const MINUTE = 60_000
const BEFORE_MS = 10 * MINUTE
const WINDOW_MS = 60 * MINUTE
const TICK_MS = 80
const HOLD_AFTER_MS = 250
const HOLD_AT_MOST_MS = 6_000
const STILL_MS = 30
const STEPPED_MS = 2
const MOST_KNOWN = 64

/** The hour around a moment that one playlist covers; near moments share it. */
export function windowAround(at: number): { from: number; to: number } {
  const from = Math.floor(at / BEFORE_MS) * BEFORE_MS - BEFORE_MS
  return { from, to: from + WINDOW_MS }
}

/** What to ask for so that playing on from a moment for most of an hour needs no further approval. */
export function windowFrom(at: number): { start: number; end: number } {
  const { from, to } = windowAround(at)
  return { start: from, end: to + WINDOW_MS - BEFORE_MS }
}

/** Whether the server converts that piece: it asks for H.264 only where the recording is H.265. */
export const isConverted = (url: string): boolean => /[?&]as=h264(&|$)/.test(url)

/** Whether the server draws privacy masks on that piece. */
export const isMasked = (url: string): boolean => /[?&]cover=/.test(url)

/** What codecs a list such as `avc1.64001f,mp4a.40.2` names. */
export function tracksOf(codecs: string): Pick<Tracks, 'codec' | 'sound'> {
  const all = codecs.split(',').map((one) => one.trim())
  const video = all.find((one) => one !== '' && !one.startsWith('mp4a'))
  return {
    codec: video === undefined ? null : codecName(video),
    sound: all.some((one) => one.startsWith('mp4a')),
  }
}

function piecesOf(details: LevelDetails): Piece[] {
  const pieces: Piece[] = []
  for (const { start, duration, programDateTime, relurl, sn } of details.fragments)
    if (programDateTime !== null)
      pieces.push({
        number: sn,
        start,
        duration,
        wall: programDateTime,
        converted: isConverted(relurl ?? ''),
        masked: isMasked(relurl ?? ''),
      })
  return pieces
}

interface RefusalBody {
  kind?: unknown
  reason?: unknown
  hint?: unknown
}

function refusalOf(details: unknown): RefusalBody {
  try {
    const text = (details as XMLHttpRequest).responseText
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null ? body : {}
  } catch {
    return {}
  }
}

/** The recordings of one point on a video element, led by a clock. Knows nothing of React. */
export class PlaybackPlayer {
  readonly #video: HTMLVideoElement
  readonly #point: Id
  readonly #clock: MasterClock
  readonly #listeners = new Set<() => void>()
  #state: PlaybackState = { is: 'loading' }
  #tracks: Tracks = UNKNOWN
  #hls: Hls | null = null
  #details: LevelDetails | null = null
  #pieces: Piece[] = []
  readonly #frames = new Map<number, readonly number[]>()
  /** It stands on a frame that was stepped to. */
  #stepped = false
  #window: { from: number; to: number } | null = null
  #ticker: ReturnType<typeof setInterval> | null = null
  #starvedAt: number | null = null
  #recoveries = 0
  #disposed = false

  constructor(video: HTMLVideoElement, point: Id, clock: MasterClock) {
    this.#video = video
    this.#point = point
    this.#clock = clock
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
  readonly snapshot = (): PlaybackState => this.#state
  readonly tracks = (): Tracks => this.#tracks

  /** Wall-clock time of the picture shown, or null where none is. */
  get shown(): number | null {
    return this.#state.is === 'ready' ? wallAt(this.#pieces, this.#video.currentTime) : null
  }

  /** Wall time of the frame that is `by` frames from the one shown, or null where that is not known. */
  frame(by: number): number | null {
    const at = frameFrom(this.#pieces, this.#frames, this.shown ?? this.#clock.at, by)
    this.#stepped = at !== null
    return at
  }

  start(): void {
    if (this.#disposed || this.#ticker !== null) return
    this.#video.playsInline = true
    this.#load()
    this.#ticker = setInterval(() => this.#tick(), TICK_MS)
  }

  again(): void {
    this.#recoveries = 0
    if (!this.#disposed) this.#load()
  }

  dispose(): void {
    this.#disposed = true
    if (this.#ticker !== null) clearInterval(this.#ticker)
    this.#ticker = null
    this.#close()
    this.#listeners.clear()
  }

  #close(): void {
    this.#clock.release(this)
    this.#starvedAt = null
    this.#hls?.destroy()
    this.#hls = null
    this.#details = null
    this.#pieces = []
    this.#frames.clear()
    this.#video.removeAttribute('src')
    this.#video.load()
  }

  #load(): void {
    this.#close()
    this.#window = windowAround(this.#clock.at)
    this.#set({ is: 'loading' })
    const url = urlOf(`/points/${this.#point}/playback.m3u8`, {
      from: new Date(this.#window.from).toISOString(),
      to: new Date(this.#window.to).toISOString(),
      as: showsH265() ? null : 'h264',
    })
    if (!Hls.isSupported()) {
      this.#set({ is: 'unsupported', codec: 'MSE' })
      return
    }
    const hls = new Hls({
      autoStartLoad: true,
      startFragPrefetch: false,
      // None of our recordings has text tracks; the empty ones it would add break the page's content policy.
      enableWebVTT: false,
      enableIMSC1: false,
      enableCEA708Captions: false,
      enableID3MetadataCues: false,
      enableEmsgMetadataCues: false,
      enableDateRangeMetadataCues: false,
      enableWorker: false,
      maxBufferLength: 24,
      maxMaxBufferLength: 40,
      maxBufferSize: 24 << 20,
      backBufferLength: 20,
    })
    this.#hls = hls
    hls.on(Events.LEVEL_LOADED, (_, { details }) => {
      const first = this.#details === null
      this.#know(details)
      // The element's own place decides what is loaded first, before hls.js would go to the newest piece.
      if (first) this.#video.currentTime = this.#startAt()
    })
    hls.on(Events.LEVEL_UPDATED, (_, { details }) => this.#know(details))
    hls.on(Events.LEVEL_PTS_UPDATED, (_, { details }) => this.#know(details))
    hls.on(Events.FRAG_LOADED, (_, { frag, payload }) => {
      if (typeof frag.sn !== 'number' || frag.type !== PlaylistLevelType.MAIN) return
      this.#frames.set(frag.sn, framesOf(payload))
      const [oldest] = this.#frames.keys()
      if (this.#frames.size > MOST_KNOWN && oldest !== undefined) this.#frames.delete(oldest)
    })
    hls.on(Events.BUFFER_CODECS, (_, { audio, video, audiovideo }) => {
      const codecs = [video?.codec, audio?.codec, audiovideo?.codec].filter((one) => one !== undefined)
      this.#learn(tracksOf(codecs.join(',')))
    })
    hls.on(Events.ERROR, (_, data) => this.#failed(data))
    hls.attachMedia(this.#video)
    hls.loadSource(url)
  }

  #know(details: LevelDetails): void {
    this.#details = details
    this.#pieces = piecesOf(details)
  }

  #startAt(): number {
    const at = this.#clock.at
    const media = mediaAt(this.#pieces, at)
    if (media !== null) return media
    const next = nextAfter(this.#pieces, at)
    return (next === null ? null : mediaAt(this.#pieces, next)) ?? 0
  }

  #failed(data: ErrorData): void {
    if (!data.fatal) return
    const code = data.response?.code ?? 0
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR) {
      if (/codec/i.test(data.details)) {
        this.#end({ is: 'unsupported', codec: data.mimeType ?? 'H.265' })
      } else if (this.#recoveries < 2) {
        this.#recoveries += 1
        this.#hls?.recoverMediaError()
      } else this.#end({ is: 'failed', reason: data.error.message })
      return
    }
    const { kind, reason, hint } = refusalOf(data.networkDetails)
    if (code >= 400 && code < 500) {
      this.#end({
        is: 'refused',
        kind: typeof kind === 'string' ? kind : code === 404 ? 'not_found' : 'denied',
        reason: typeof reason === 'string' ? reason : '',
        hint: typeof hint === 'string' ? hint : null,
      })
    } else this.#end({ is: 'failed', reason: typeof reason === 'string' ? reason : data.error.message })
  }

  #end(state: PlaybackState): void {
    const window = this.#window
    this.#close()
    this.#window = window
    this.#set(state)
  }

  #tick(): void {
    const at = this.#clock.at
    if (this.#window === null || at < this.#window.from || at >= this.#window.to) {
      this.#load()
      return
    }
    if (this.#hls === null || this.#details === null) {
      if (this.#state.is === 'loading') this.#starved()
      return
    }
    const media = mediaAt(this.#pieces, at)
    if (media === null) {
      if (!this.#video.paused) this.#video.pause()
      this.#fed()
      this.#set({ is: 'gap', until: nextAfter(this.#pieces, at) })
      return
    }
    const rate = this.#clock.rate
    if (rate < 0 || rate > KEY_FRAMES_ABOVE) this.#step(at)
    else if (this.#clock.moving) this.#follow(media, rate)
    else this.#stand(media)
    const piece = this.#pieces[pieceAt(this.#pieces, at)]
    this.#learn({
      convertedFrom: piece?.converted === true ? 'H.265' : null,
      masked: piece?.masked === true,
    })
    if (this.#video.readyState >= 3 && !this.#video.seeking) {
      this.#fed()
      this.#set({ is: 'ready' })
    } else this.#starved()
  }

  #follow(media: number, rate: number): void {
    this.#stepped = false
    const { seek, rate: adjusted } = correct((this.#video.currentTime - media) * 1000, rate)
    if (seek && !this.#video.seeking) this.#video.currentTime = media
    const bounded = Math.max(0.1, Math.min(16, Math.round(adjusted * 100) / 100))
    if (this.#video.playbackRate !== bounded) this.#video.playbackRate = bounded
    if (this.#video.paused) void this.#video.play().catch(() => undefined)
  }

  #stand(media: number): void {
    if (!this.#video.paused) this.#video.pause()
    const near = this.#stepped ? STEPPED_MS : STILL_MS
    if (!this.#video.seeking && Math.abs(this.#video.currentTime - media) * 1000 > near)
      this.#video.currentTime = media
  }

  /** Fast and backwards: from key frame to key frame, each a still, so that a decoder need not run at 16 times. */
  #step(at: number): void {
    if (!this.#video.paused) this.#video.pause()
    const piece = this.#pieces[pieceAt(this.#pieces, at)]
    if (piece === undefined || this.#video.seeking) return
    if (Math.abs(this.#video.currentTime - piece.start) > 0.1) this.#video.currentTime = piece.start + 0.01
  }

  #starved(): void {
    const now = performance.now()
    this.#starvedAt ??= now
    const waited = now - this.#starvedAt
    if (waited < HOLD_AFTER_MS) return
    if (this.#state.is === 'ready' || this.#state.is === 'gap') this.#set({ is: 'buffering' })
    const smooth = this.#clock.rate > 0 && this.#clock.rate <= KEY_FRAMES_ABOVE
    if (smooth && waited < HOLD_AT_MOST_MS) this.#clock.hold(this)
    else this.#clock.release(this)
  }

  #fed(): void {
    this.#starvedAt = null
    this.#clock.release(this)
  }

  #learn(part: Partial<Tracks>): void {
    const next = { ...this.#tracks, ...part }
    const { codec, convertedFrom, masked, sound } = this.#tracks
    const same = next.codec === codec && next.convertedFrom === convertedFrom && next.sound === sound
    if (same && next.masked === masked) return
    this.#tracks = next
    for (const listener of this.#listeners) listener()
  }

  #set(state: PlaybackState): void {
    const same =
      state.is === this.#state.is &&
      (state.is !== 'gap' || state.until === (this.#state as typeof state).until)
    if (same) return
    this.#state = state
    for (const listener of this.#listeners) listener()
  }
}
