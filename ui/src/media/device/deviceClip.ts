import { ApiError, refusal, urlOf } from '../../api/client'
import type { Id } from '../../api/types'
import type { ClipEnd } from '../playback/clip'
import { fileName, saveBlob } from '../tile/download'
import { FragmentReader } from './fragments'

export interface ClipProgress {
  bytes: number
  /** Share of the wanted time that has come, 0 to 1. */
  share: number
}

/** Downloads a recording from the device itself. Leaving it (the signal) ends the device's call. Throws ApiError. */
export async function saveDeviceClip(
  point: { id: Id; name: string },
  clip: { start: number; end: number },
  signal: AbortSignal,
  onProgress: (progress: ClipProgress) => void,
): Promise<ClipEnd> {
  try {
    const response = await fetch(
      urlOf(`/points/${point.id}/device-clip.mp4`, {
        from: new Date(clip.start).toISOString(),
        to: new Date(clip.end).toISOString(),
      }),
      { credentials: 'same-origin', signal },
    )
    if (!response.ok || response.body === null) throw await refusal(response)
    const parts: BlobPart[] = []
    const boxes = new FragmentReader()
    const reader = response.body.getReader()
    let bytes = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      parts.push(value)
      boxes.take(value)
      bytes += value.byteLength
      onProgress({ bytes, share: Math.min(1, boxes.ms / (clip.end - clip.start)) })
    }
    const file = `${fileName(point.name, clip.start)}.mp4`
    saveBlob(new Blob(parts, { type: 'video/mp4' }), file)
    return { is: 'saved', file, gaps: null }
  } catch (cause) {
    if (signal.aborted) return { is: 'cancelled' }
    if (cause instanceof ApiError) throw cause
    return { is: 'failed', reason: cause instanceof Error ? cause.message : String(cause) }
  }
}
