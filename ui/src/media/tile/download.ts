import { refusal, urlOf } from '../../api/client'
import type { Id, StreamName } from '../../api/types'
import { stamp } from '../../shared/format'
import { marks } from './marks'

/** `建安街口 南枪_20261122-221407`: what a file is of and when, in characters every file system takes. */
export function fileName(point: string, at: number): string {
  const name = point.replace(/[\\/:*?"<>|\s]+/g, ' ').trim()
  return `${name}_${stamp(at).replace(/[-:]/g, '').replace(' ', '-')}`
}

const ENDINGS: Record<string, string> = { 'image/jpeg': 'jpg', 'image/png': 'png', 'image/svg+xml': 'svg' }

/** Hands a file to the browser's downloads. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The download has its own hold on the data once it has begun.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/**
 * The picture of now of the stream that is watched, marked where that is wished, saved under the point's name and the
 * time. `device`: the device takes it itself, in its full size, and uploads it (GB/T 28181-2022). Throws ApiError.
 */
export async function saveSnapshot(point: Id, name: string, of: StreamName | 'device'): Promise<string> {
  const at = Date.now()
  const mark = marks.on ? 'true' : null
  const response =
    of === 'device'
      ? await fetch(urlOf(`/points/${point}/device-snapshot`, { mark }), {
          method: 'POST',
          credentials: 'same-origin',
        })
      : await fetch(urlOf(`/points/${point}/snapshot`, { stream: of, mark }), { credentials: 'same-origin' })
  if (!response.ok) throw await refusal(response)
  const blob = await response.blob()
  const file = `${fileName(name, at)}.${ENDINGS[blob.type.split(';')[0] ?? ''] ?? 'jpg'}`
  saveBlob(blob, file)
  return file
}
