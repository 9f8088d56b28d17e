import { ApiError, refusal, urlOf } from '../../api/client'
import type { Id } from '../../api/types'
import { fileName, saveBlob } from '../tile/download'
import { marks } from '../tile/marks'

export type ClipEnd =
  { is: 'saved'; file: string; gaps: string | null } | { is: 'cancelled' } | { is: 'failed'; reason: string }

export interface ClipProgress {
  bytes: number
  /** 0 to 1; null where the server does not say how long the file will be. */
  share: number | null
}

/** Downloads a clip, telling how much of it has come; saved under the point's name and the time it begins. Throws ApiError. */
export async function saveClip(
  point: { id: Id; name: string },
  clip: { start: number; end: number },
  signal: AbortSignal,
  onProgress: (progress: ClipProgress) => void,
): Promise<ClipEnd> {
  try {
    const response = await fetch(
      urlOf(`/points/${point.id}/clip.mp4`, {
        from: new Date(clip.start).toISOString(),
        to: new Date(clip.end).toISOString(),
        mark: marks.on ? 'true' : null,
      }),
      { credentials: 'same-origin', signal },
    )
    if (!response.ok || response.body === null) throw await refusal(response)
    const whole = Number(response.headers.get('Content-Length') ?? 0)
    const parts: BlobPart[] = []
    const reader = response.body.getReader()
    let bytes = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      parts.push(value)
      bytes += value.byteLength
      onProgress({ bytes, share: whole > 0 ? Math.min(1, bytes / whole) : null })
    }
    const file = `${fileName(point.name, clip.start)}.mp4`
    saveBlob(new Blob(parts, { type: 'video/mp4' }), file)
    return { is: 'saved', file, gaps: response.headers.get('X-Anwang-Gaps') }
  } catch (cause) {
    if (signal.aborted) return { is: 'cancelled' }
    if (cause instanceof ApiError) throw cause
    return { is: 'failed', reason: cause instanceof Error ? cause.message : String(cause) }
  }
}

/** `3.2 MB` */
export function size(bytes: number): string {
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} kB`
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`
  return bytes < 1e12 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e12).toFixed(1)} TB`
}
