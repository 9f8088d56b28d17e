/** What the live WebSocket says in text, parsed at the edge. */

export interface Parameters {
  is: 'parameters'
  mime: string
  codec: string
  /** What the camera sends, where the server made it into `codec`. */
  convertedFrom: string | null
  /** Whether privacy masks are drawn on it. */
  masked: boolean
  /** Whether sound comes with it. */
  sound: boolean
  width: number
  height: number
  startedAt: number
  play: string | null
}

/** How the stream comes in to the server, once a second. */
export interface Flow {
  is: 'flow'
  /** Share of the packets of the last seconds that did not arrive. */
  loss: number
  /** When the newest picture came to the server, by its clock, and where that one ends in the video's own time. */
  received: { at: number; media: number } | null
  /** The server's clock when it said so. */
  at: number
}

export interface Refused {
  is: 'error'
  kind: string
  reason: string
  hint: string | null
  play: string | null
}

type Fields = Record<string, unknown>

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
const number = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null
const fields = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null ? (value as Fields) : null

function parsed(raw: string): Fields | null {
  try {
    return fields(JSON.parse(raw))
  } catch {
    return null
  }
}

function errorOf(body: Fields): Refused {
  return {
    is: 'error',
    kind: text(body.kind) ?? 'internal',
    reason: text(body.reason) ?? '',
    hint: text(body.hint),
    play: text(body.play),
  }
}

/** `avc1.64001f` → `H.264`. */
export function codecName(codec: string): string {
  if (/^avc[13]/.test(codec)) return 'H.264'
  if (/^(hvc1|hev1)/.test(codec)) return 'H.265'
  return codec
}

/** Whether this browser shows H.265; where it doesn't, the server is asked for H.264. */
export const showsH265 = (): boolean =>
  typeof MediaSource === 'undefined' || MediaSource.isTypeSupported('video/mp4; codecs="hvc1.1.6.L120.90"')

/** A text message, or null where it is neither parameters nor an error. */
export function readMessage(raw: string): Parameters | Flow | Refused | null {
  const body = parsed(raw)
  if (!body) return null
  const error = fields(body.error)
  if (error) return errorOf(error)
  const flow = fields(body.flow)
  if (flow) return flowOf(flow)
  const mime = text(body.mime)
  if (!mime) return null
  const started = text(body.started_at)
  return {
    is: 'parameters',
    mime,
    codec: codecName(text(body.codec) ?? /codecs="?([^",]+)/.exec(mime)?.[1] ?? mime),
    convertedFrom: text(body.converted_from) && codecName(String(body.converted_from)),
    masked: body.masked === true,
    sound: mime.includes('mp4a'),
    width: number(body.width) ?? 0,
    height: number(body.height) ?? 0,
    startedAt: started === null ? Date.now() : Date.parse(started),
    play: text(body.play),
  }
}

function flowOf(body: Fields): Flow | null {
  const at = Date.parse(text(body.at) ?? '')
  if (Number.isNaN(at)) return null
  const received = Date.parse(text(body.received_at) ?? '')
  const media = number(body.media)
  return {
    is: 'flow',
    at,
    loss: number(body.loss) ?? 0,
    received: Number.isNaN(received) || media === null ? null : { at: received, media },
  }
}

const BY_CODE: Record<number, string> = { 4401: 'unauthenticated', 4403: 'denied', 4404: 'not_found' }

/** Why a WebSocket closed, from its code and the JSON in its reason. */
export function readClose(code: number, reason: string): Refused {
  const body = parsed(reason)
  const kind = BY_CODE[code] ?? 'unavailable'
  return body
    ? { ...errorOf(body), kind: text(body.kind) ?? kind }
    : { is: 'error', kind, reason, hint: null, play: null }
}

const FINAL = new Set([
  'denied',
  'forbidden',
  'purpose_needed',
  'approval_needed',
  'not_found',
  'invalid',
  'unsupported',
  'unauthenticated',
  'conflict',
])

/** Asking again would get the same answer. */
export const isFinal = (kind: string): boolean => FINAL.has(kind)
