/** Figures as they stand on a picture. */

/** `1080p`; other shapes as `704×576`. */
export function resolution({ width, height }: { width: number; height: number }): string {
  if (width === 0 || height === 0) return '—'
  return Math.abs(width / height - 16 / 9) < 0.02 ? `${height}p` : `${width}×${height}`
}

/** `3.9 Mb/s`, `412 kb/s` */
export function bitRate(bitsPerSecond: number): string {
  return bitsPerSecond >= 1e6
    ? `${(bitsPerSecond / 1e6).toFixed(1)} Mb/s`
    : `${Math.round(bitsPerSecond / 1000)} kb/s`
}

/** `0.31 s` */
export function delay(seconds: number): string {
  return `${seconds.toFixed(2)} s`
}
