/** Polygons as shares (0 to 1) of a picture's width and height, the way the server keeps them. Pure. */

export type Corner = readonly [x: number, y: number]
export type Polygon = readonly Corner[]

export const FEWEST = 3
export const MOST = 64
/** What the server rounds to. */
const UNITS = 10_000
/** Area below which a polygon is a slip of the hand. */
const SMALLEST = 1e-5

const within = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * UNITS) / UNITS

/** The nearest corner that the server takes. */
export const cornerAt = (x: number, y: number): Corner => [within(x), within(y)]

export const RECTANGLE: Polygon = [
  [0.4, 0.4],
  [0.6, 0.4],
  [0.6, 0.6],
  [0.4, 0.6],
]

export function moved(polygon: Polygon, n: number, to: Corner): Polygon {
  return polygon.map((corner, at) => (at === n ? cornerAt(to[0], to[1]) : corner))
}

/** The whole polygon shifted, as far as it stays inside the picture. */
export function shifted(polygon: Polygon, dx: number, dy: number): Polygon {
  const bounded = (by: number, values: readonly number[]) =>
    Math.max(-Math.min(...values), Math.min(1 - Math.max(...values), by))
  const x = bounded(
    dx,
    polygon.map((corner) => corner[0]),
  )
  const y = bounded(
    dy,
    polygon.map((corner) => corner[1]),
  )
  return polygon.map((corner) => cornerAt(corner[0] + x, corner[1] + y))
}

/** With another corner in the middle of the edge that begins at corner n. */
export function split(polygon: Polygon, n: number): Polygon {
  const middle = middleOf(polygon, n)
  return polygon.length >= MOST ? polygon : [...polygon.slice(0, n + 1), middle, ...polygon.slice(n + 1)]
}

export function middleOf(polygon: Polygon, n: number): Corner {
  const a = polygon[n] ?? [0, 0]
  const b = polygon[(n + 1) % polygon.length] ?? a
  return cornerAt((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
}

export function without(polygon: Polygon, n: number): Polygon {
  return polygon.length <= FEWEST ? polygon : polygon.filter((_, at) => at !== n)
}

export function areaOf(polygon: Polygon): number {
  const twice = polygon.reduce((sum, [x, y], n) => {
    const [u, v] = polygon[(n + 1) % polygon.length] ?? [0, 0]
    return sum + x * v - u * y
  }, 0)
  return Math.abs(twice) / 2
}

export type Fault = 'few' | 'many' | 'small' | 'crosses'

/** Why the server would not take it; null: it would. */
export function faultOf(polygon: Polygon): Fault | null {
  if (polygon.length < FEWEST) return 'few'
  if (polygon.length > MOST) return 'many'
  if (areaOf(polygon) < SMALLEST) return 'small'
  return isSimple(polygon) ? null : 'crosses'
}

// In whole units, so that what touches is told from what nearly does.
type Units = readonly [number, number]
const units = (polygon: Polygon): Units[] =>
  polygon.map(([x, y]) => [Math.round(x * UNITS), Math.round(y * UNITS)])

const turn = (a: Units, b: Units, c: Units): number =>
  (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

const inBox = (p: Units, a: Units, b: Units): boolean =>
  Math.min(a[0], b[0]) <= p[0] &&
  p[0] <= Math.max(a[0], b[0]) &&
  Math.min(a[1], b[1]) <= p[1] &&
  p[1] <= Math.max(a[1], b[1])

function meet(a: Units, b: Units, c: Units, d: Units): boolean {
  const [first, second, third, fourth] = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)]
  if (first * second < 0 && third * fourth < 0) return true
  return (
    (first === 0 && inBox(c, a, b)) ||
    (second === 0 && inBox(d, a, b)) ||
    (third === 0 && inBox(a, c, d)) ||
    (fourth === 0 && inBox(b, c, d))
  )
}

/** Whether no two edges share a point besides the corner between neighbours. */
export function isSimple(polygon: Polygon): boolean {
  const corners = units(polygon)
  const edges = corners.map((corner, n) => [corner, corners[(n + 1) % corners.length] ?? corner] as const)
  return edges.every(([a, b], i) => {
    if (a[0] === b[0] && a[1] === b[1]) return false
    return edges.every(([c, d], j) => {
      if (j <= i) return true
      const next = j === i + 1
      if (!next && !(i === 0 && j === edges.length - 1)) return !meet(a, b, c, d)
      // neighbours: the second must not go back over the first
      const [corner, before, after] = next ? [b, a, d] : [a, b, c]
      const back =
        (before[0] - corner[0]) * (after[0] - corner[0]) + (before[1] - corner[1]) * (after[1] - corner[1]) >
        0
      return turn(before, corner, after) !== 0 || !back
    })
  })
}

/** `40,30 90,30 …` in a picture of that size, for SVG. */
export const pointsOf = (polygon: Polygon, width: number, height: number): string =>
  polygon.map(([x, y]) => `${(x * width).toFixed(1)},${(y * height).toFixed(1)}`).join(' ')
