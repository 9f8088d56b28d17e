import type { ErrorBody } from './types'

export const BASE = '/api/v1'

/** A request the server (or the network) answered with no. `kind` is `network` when nothing answered. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    readonly reason: string,
    readonly hint: string | null = null,
  ) {
    super(reason)
    this.name = 'ApiError'
  }
}

export type Outcome<T> =
  { kind: 'success'; value: T } | { kind: 'aborted' } | { kind: 'error'; error: ApiError }

type Scalar = string | number | boolean | null | undefined
export type Query = Record<string, Scalar | readonly (string | number)[]>

export interface RequestOptions {
  query?: Query
  json?: unknown
  /** A body sent as it is; `type` is its content type. */
  raw?: { body: BodyInit; type: string }
  signal?: AbortSignal | undefined
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** `/points?kind=camera,sensor&limit=50`: lists are joined by commas, empty values are left out. */
export function pathWith(path: string, query?: Query): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === null || value === undefined || value === '') continue
    if (Array.isArray(value)) {
      if (value.length > 0) search.set(name, value.join(','))
    } else {
      search.set(name, String(value))
    }
  }
  const text = search.toString()
  return text === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${text}`
}

/** The address of something the browser loads on its own (a picture, a download). */
export function urlOf(path: string, query?: Query): string {
  return BASE + pathWith(path, query)
}

const signedOut = new Set<() => void>()

/** Calls `listener` whenever the server answers 401. Returns the way to stop listening. */
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener)
  return () => {
    signedOut.delete(listener)
  }
}

/** What an answer that is none says of itself. */
export async function refusal(response: Response): Promise<ApiError> {
  let body: Partial<ErrorBody> = {}
  try {
    const parsed: unknown = await response.json()
    if (typeof parsed === 'object' && parsed !== null) body = parsed
  } catch {
    // A proxy's HTML page, or nothing: the status alone must do.
  }
  const fallback = response.status === 401 ? 'unauthenticated' : `http_${response.status}`
  return new ApiError(
    response.status,
    typeof body.kind === 'string' ? body.kind : fallback,
    typeof body.reason === 'string' ? body.reason : `HTTP ${response.status}`,
    typeof body.hint === 'string' ? body.hint : null,
  )
}

/** What every question says of who reads the answer. */
const reader = () => ({
  Accept: 'application/json',
  'Accept-Language': document.documentElement.lang || 'zh-CN',
})

/** One request; never throws. A 204 or empty answer is `undefined`. */
export async function request<T>(
  method: Method,
  path: string,
  options: RequestOptions = {},
): Promise<Outcome<T>> {
  const init: RequestInit = { method, credentials: 'same-origin', headers: { ...reader() } }
  if (options.signal) init.signal = options.signal
  if (options.json !== undefined) {
    init.body = JSON.stringify(options.json)
    init.headers = { ...reader(), 'Content-Type': 'application/json' }
  } else if (options.raw) {
    init.body = options.raw.body
    init.headers = { ...reader(), 'Content-Type': options.raw.type }
  }
  try {
    const response = await fetch(urlOf(path, options.query), init)
    if (!response.ok) {
      const error = await refusal(response)
      if (response.status === 401) for (const listener of signedOut) listener()
      return { kind: 'error', error }
    }
    const text = await response.text()
    return { kind: 'success', value: (text === '' ? undefined : JSON.parse(text)) as T }
  } catch (cause) {
    if (options.signal?.aborted) return { kind: 'aborted' }
    const reason = cause instanceof Error ? cause.message : String(cause)
    return { kind: 'error', error: new ApiError(0, 'network', reason) }
  }
}

/** The same for TanStack Query, which wants a value or a throw. */
export async function fetched<T>(method: Method, path: string, options: RequestOptions = {}): Promise<T> {
  const outcome = await request<T>(method, path, options)
  switch (outcome.kind) {
    case 'success':
      return outcome.value
    case 'aborted':
      throw new DOMException('aborted', 'AbortError')
    case 'error':
      throw outcome.error
  }
}
