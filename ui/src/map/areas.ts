export type Position = [longitude: number, latitude: number]

/** A piece of the city somebody chose: a box, a polygon, or what is near a place. */
export type Area =
  | { shape: 'box'; west: number; south: number; east: number; north: number }
  | { shape: 'polygon'; corners: Position[] }
  | { shape: 'near'; centre: Position; metres: number }

const DIGITS = 6
const EARTH_M = 6_371_008.8
const radians = (degrees: number) => (degrees * Math.PI) / 180
const short = (value: number) => String(Number(value.toFixed(DIGITS)))

export function writeArea(area: Area): string {
  switch (area.shape) {
    case 'box':
      return `box:${[area.west, area.south, area.east, area.north].map(short).join(',')}`
    case 'polygon':
      return `polygon:${area.corners.map((corner) => corner.map(short).join(',')).join(';')}`
    case 'near':
      return `near:${[...area.centre, area.metres].map(short).join(',')}`
  }
}

/** What `writeArea` wrote; null for anything else. */
export function readArea(text: string | null): Area | null {
  const match = /^(box|polygon|near):([-\d.,;]+)$/.exec(text ?? '')
  if (!match?.[2]) return null
  const rows = match[2].split(';').map((row) => row.split(',').map(Number))
  if (rows.some((row) => row.some((value) => !Number.isFinite(value)))) return null
  if (match[1] === 'polygon') {
    if (rows.length < 3 || rows.some((row) => row.length !== 2)) return null
    return { shape: 'polygon', corners: rows as Position[] }
  }
  const [a, b, c, d] = rows[0] ?? []
  if (rows.length !== 1 || a === undefined || b === undefined || c === undefined) return null
  if (match[1] === 'near')
    return d === undefined && c > 0 ? { shape: 'near', centre: [a, b], metres: c } : null
  return d !== undefined && a < c && b < d ? { shape: 'box', west: a, south: b, east: c, north: d } : null
}

/** Metres between two places on the sphere; good to half a percent. */
export function metresBetween(a: Position, b: Position): number {
  const dLat = radians(b[1] - a[1])
  const dLon = radians(b[0] - a[0])
  const h =
    Math.sin(dLat / 2) ** 2 + Math.cos(radians(a[1])) * Math.cos(radians(b[1])) * Math.sin(dLon / 2) ** 2
  return 2 * EARTH_M * Math.asin(Math.sqrt(h))
}

/** The place `metres` away from `from` towards `bearing` degrees. */
export function towards(from: Position, bearing: number, metres: number): Position {
  const north = (metres * Math.cos(radians(bearing))) / EARTH_M
  const east = (metres * Math.sin(radians(bearing))) / (EARTH_M * Math.cos(radians(from[1])))
  return [from[0] + (east * 180) / Math.PI, from[1] + (north * 180) / Math.PI]
}

export function circle(centre: Position, metres: number, steps = 72): Position[] {
  return Array.from({ length: steps + 1 }, (_, i) => towards(centre, (i * 360) / steps, metres))
}

/** What a camera looks at, as a fan: its place, then the arc. */
export function cone(from: Position, heading: number, fov: number, metres: number): Position[] {
  const steps = Math.max(2, Math.ceil(fov / 4))
  const arc = Array.from({ length: steps + 1 }, (_, i) =>
    towards(from, heading - fov / 2 + (fov * i) / steps, metres),
  )
  return [from, ...arc, from]
}

export function outline(area: Area): Position[] {
  switch (area.shape) {
    case 'box':
      return [
        [area.west, area.south],
        [area.east, area.south],
        [area.east, area.north],
        [area.west, area.north],
        [area.west, area.south],
      ]
    case 'polygon':
      return area.corners[0] ? [...area.corners, area.corners[0]] : []
    case 'near':
      return circle(area.centre, area.metres)
  }
}

/** `w,s,e,n` around the area, for the server. */
export function boundsOf(area: Area): [number, number, number, number] {
  const corners = outline(area)
  const xs = corners.map(([x]) => x)
  const ys = corners.map(([, y]) => y)
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]
}

export function contains(area: Area, [x, y]: Position): boolean {
  if (area.shape === 'box') return x >= area.west && x <= area.east && y >= area.south && y <= area.north
  if (area.shape === 'near') return metresBetween(area.centre, [x, y]) <= area.metres
  let inside = false
  const { corners } = area
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const a = corners[i]
    const b = corners[j]
    if (!a || !b) continue
    if (a[1] > y !== b[1] > y && x < ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]) + a[0]) inside = !inside
  }
  return inside
}
