import type { PointKind } from '../api/types'
import type { Tokens } from '../theme/tokens'

/**
 * The map's symbols, drawn here: each kind of point has a shape, given as a signed distance field so that MapLibre can
 * colour it by live state without another image. Coordinates run -1 to 1, y down.
 */
type Distance = (x: number, y: number) => number
type Corner = readonly [number, number]

function polygon(corners: readonly Corner[]): Distance {
  return (x, y) => {
    let best = Infinity
    let inside = false
    for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
      const [ax, ay] = corners[i] as Corner
      const [bx, by] = corners[j] as Corner
      const t = Math.max(
        0,
        Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)),
      )
      best = Math.min(best, Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)))
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside
    }
    return inside ? -best : best
  }
}

const shapes: Record<PointKind, Distance> = {
  camera: (x, y) => Math.hypot(x, y) - 0.72,
  checkpoint: polygon([
    [-0.66, -0.66],
    [0.66, -0.66],
    [0.66, 0.66],
    [-0.66, 0.66],
  ]),
  alarm_point: polygon([
    [0, -0.86],
    [0.86, 0.66],
    [-0.86, 0.66],
  ]),
  sensor: polygon([
    [0, -0.92],
    [0.92, 0],
    [0, 0.92],
    [-0.92, 0],
  ]),
  watchtower: polygon([
    [0, -0.88],
    [0.86, -0.2],
    [0.52, 0.78],
    [-0.52, 0.78],
    [-0.86, -0.2],
  ]),
}

/** A short stroke across, cut out of the symbol of what is offline. */
const slash: Distance = (x, y) => {
  const t = Math.max(-0.62, Math.min(0.62, (x - y) / 2))
  return Math.hypot(x - t, y + t) - 0.13
}

/** Pixels from the middle to ±1, the margin around, and how many pixels of distance the field spans. */
const REACH = 16
const MARGIN = 6
const SPAN = 8
const EDGE = 0.75

function field(distance: Distance): ImageData {
  const size = 2 * (REACH + MARGIN)
  const image = new ImageData(size, size)
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const d = distance((column + 0.5 - size / 2) / REACH, (row + 0.5 - size / 2) / REACH) * REACH
      image.data[(row * size + column) * 4 + 3] = Math.round(255 * Math.max(0, Math.min(1, EDGE - d / SPAN)))
    }
  }
  return image
}

const hollow =
  (distance: Distance, width: number): Distance =>
  (x, y) =>
    Math.abs(distance(x, y) + width / 2) - width / 2

export const SYMBOL_RATIO = 2

export interface Symbol {
  name: string
  image: ImageData
}

export function pointSymbols(): Symbol[] {
  return [
    ...Object.entries(shapes).flatMap(([kind, distance]) => [
      { name: `point-${kind}`, image: field(distance) },
      { name: `hollow-${kind}`, image: field(hollow(distance, 0.3)) },
    ]),
    { name: 'slash', image: field(slash) },
  ]
}

/** The same shape for the layer list, as an SVG path in a 20×20 box. */
export const kindPaths: Record<PointKind, string> = {
  camera: 'M10 3.4a6.6 6.6 0 1 1 0 13.2 6.6 6.6 0 0 1 0-13.2z',
  checkpoint: 'M4 4h12v12H4z',
  alarm_point: 'M10 2.4L17.8 16H2.2z',
  sensor: 'M10 1.8L18.2 10 10 18.2 1.8 10z',
  watchtower: 'M10 2.2L17.6 8.2 14.7 17H5.3L2.4 8.2z',
}

// --- clusters --------------------------------------------------------------------------------------------

export const RING_STEPS = 40

export interface Ring {
  size: number
  online: number
  offline: number
}

/** `ring-48-38-2`: diameter in pixels, then online and offline in fortieths; the rest is unknown. */
export function readRing(name: string): Ring | null {
  const match = /^ring-(\d+)-(\d+)-(\d+)$/.exec(name)
  if (!match) return null
  const [size = 0, online = 0, offline = 0] = match.slice(1).map(Number)
  return size > 0 && size <= 128 && online + offline <= RING_STEPS ? { size, online, offline } : null
}

export function drawRing({ size, online, offline }: Ring, t: Tokens): ImageData | null {
  const scale = SYMBOL_RATIO
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = size * scale
  const pen = canvas.getContext('2d')
  if (!pen) return null
  pen.scale(scale, scale)
  const middle = size / 2
  const radius = middle - 3.5
  pen.beginPath()
  pen.arc(middle, middle, middle - 1, 0, 2 * Math.PI)
  pen.globalAlpha = 0.94
  pen.fillStyle = t.bg1
  pen.fill()
  pen.globalAlpha = 1
  const turn = (steps: number) => -Math.PI / 2 + (steps / RING_STEPS) * 2 * Math.PI
  const arc = (from: number, to: number, colour: string, width: number, dash: number[]) => {
    if (to <= from) return
    const gap = to - from < RING_STEPS ? 0.045 : 0
    pen.beginPath()
    pen.arc(middle, middle, radius, turn(from) + gap, turn(to) - gap)
    pen.strokeStyle = colour
    pen.lineWidth = width
    pen.setLineDash(dash)
    pen.stroke()
  }
  // Not by colour alone: offline is the thick part, unknown the dotted one.
  arc(0, online, t.ok, 2.5, [])
  arc(online, online + offline, t.bad, 5, [])
  arc(online + offline, RING_STEPS, t.unk, 2.5, [2, 2.5])
  return pen.getImageData(0, 0, canvas.width, canvas.height)
}
