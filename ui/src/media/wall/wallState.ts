import type { Id, Layout, NewLayout, StreamName } from '../../api/types'

export type Grid = 1 | 4 | 6 | 8 | 9 | 16
export const GRIDS: readonly Grid[] = [1, 4, 6, 8, 9, 16]
/** From so many tiles on, the small stream is enough. */
export const SUB_FROM = 9

/** What the address of the wall holds. */
export interface WallState {
  grid: Grid
  /** One for each tile; longer than the grid where a smaller grid was chosen for a moment. */
  tiles: readonly (Id | null)[]
  /** Streams chosen by hand; for the others the wall chooses by its grid. */
  streams: Readonly<Record<Id, StreamName>>
  selected: number
  big: boolean
}

const asGrid = (value: number): Grid | null => GRIDS.find((grid) => grid === value) ?? null

/** The smallest grid that shows so many. */
export function gridFor(amount: number): Grid {
  return GRIDS.find((grid) => grid >= amount) ?? 16
}

const filled = (tiles: readonly (Id | null)[], grid: Grid) =>
  Array.from({ length: Math.max(grid, tiles.length) }, (_, n) => tiles[n] ?? null)

export function readWall(search: URLSearchParams): WallState {
  const named = search.get('points')
  const given = (named === null || named === '' ? [] : named.split(',')).slice(0, 16)
  const ids = given.map((one) => one.split('~')[0] ?? '')
  const tiles = ids.map((id, n) => (id === '' || ids.indexOf(id) < n ? null : id))
  const streams: Record<Id, StreamName> = {}
  for (const one of given) {
    const [id = '', stream] = one.split('~')
    if (stream === 'main' || stream === 'sub') streams[id] ??= stream
  }
  const grid = asGrid(Number(search.get('grid'))) ?? (tiles.length === 0 ? 4 : gridFor(tiles.length))
  const selected = Math.max(0, Math.min(grid - 1, Number(search.get('tile') ?? 1) - 1 || 0))
  return { grid, tiles: filled(tiles, grid), streams, selected, big: search.get('big') === '1' }
}

export function writeWall({ grid, tiles, streams, selected, big }: WallState): URLSearchParams {
  const search = new URLSearchParams()
  const last = tiles.findLastIndex((id) => id !== null)
  if (last >= 0)
    search.set(
      'points',
      tiles
        .slice(0, last + 1)
        .map((id) => (id === null ? '' : streams[id] ? `${id}~${streams[id]}` : id))
        .join(','),
    )
  search.set('grid', String(grid))
  if (selected > 0) search.set('tile', String(selected + 1))
  if (big) search.set('big', '1')
  return search
}

/** Where the next camera goes: the selected tile if it is free, else the next free one, else the selected. */
export function nextFree({ grid, tiles, selected }: WallState): number {
  for (let step = 0; step < grid; step++) {
    const n = (selected + step) % grid
    if (tiles[n] === null) return n
  }
  return selected
}

/** Puts a point on a tile; one that was there moves to where this one came from. */
export function put(state: WallState, tile: number, point: Id | null): WallState {
  const tiles = [...state.tiles]
  const from = point === null ? -1 : tiles.indexOf(point)
  if (from >= 0) tiles[from] = tiles[tile] ?? null
  tiles[tile] = point
  return { ...state, tiles, selected: tile, big: state.big && point !== null }
}

/** Puts several on the wall, growing the grid if they need it. */
export function putAll(state: WallState, points: readonly Id[]): WallState {
  let next = state
  for (const point of points.slice(0, 16)) {
    if (next.tiles.slice(0, next.grid).includes(point)) continue
    const free = next.tiles.slice(0, next.grid).indexOf(null)
    if (free < 0 && next.grid < 16) {
      const grid = gridFor(next.grid + 1)
      next = { ...next, grid, tiles: filled(next.tiles, grid) }
    }
    next = put(next, nextFree(next), point)
  }
  return next
}

/** What a layout keeps of a wall. */
export function layoutOf({ grid, tiles, streams }: WallState): Pick<NewLayout, 'grid' | 'tiles'> {
  const shown = tiles.slice(0, grid)
  return {
    grid,
    tiles: shown.map((point) => (point === null ? null : { point, stream: streams[point] ?? 'auto' })),
  }
}

/** The wall as a layout has it. */
export function wallOf(layout: Pick<Layout, 'grid' | 'tiles'>): WallState {
  const grid = asGrid(layout.grid) ?? 16
  const streams: Record<Id, StreamName> = {}
  for (const tile of layout.tiles)
    if (tile !== null && tile.stream !== 'auto') streams[tile.point] = tile.stream
  const tiles = filled(
    layout.tiles.map((tile) => tile?.point ?? null),
    grid,
  )
  return { grid, tiles, streams, selected: 0, big: false }
}

export function withGrid(state: WallState, grid: Grid): WallState {
  // Shrinking keeps what is shown: tiles close up if that makes all of them fit.
  const shown = state.tiles.filter((id) => id !== null)
  const tiles = filled(
    shown.length <= grid && state.tiles.slice(grid).some((id) => id !== null) ? shown : state.tiles,
    grid,
  )
  return { ...state, grid, tiles, selected: Math.min(state.selected, grid - 1), big: false }
}

export interface Cell {
  column: number
  row: number
  span: number
}

/** Columns of a grid and its cells; 6 is one large and five small, 8 one large and seven. */
export function cellsOf(grid: Grid): { columns: number; cells: Cell[] } {
  const large = grid === 6 ? 2 : grid === 8 ? 3 : 1
  const columns = large > 1 ? large + 1 : Math.sqrt(grid)
  const cells: Cell[] = [{ column: 0, row: 0, span: large }]
  for (let row = 0; row < columns; row++)
    for (let column = 0; column < columns; column++)
      if (row >= large || column >= large) cells.push({ column, row, span: 1 })
  return { columns, cells }
}

/** The tile next to one in a direction, by where their middles are; itself where there is none. */
export function neighbour(grid: Grid, tile: number, dx: number, dy: number): number {
  const { cells } = cellsOf(grid)
  const here = cells[tile]
  if (here === undefined) return 0
  const middle = (cell: Cell) => ({ x: cell.column + cell.span / 2, y: cell.row + cell.span / 2 })
  const from = middle(here)
  let best = tile
  let least = Infinity
  for (const [n, cell] of cells.entries()) {
    const to = middle(cell)
    const along = (to.x - from.x) * dx + (to.y - from.y) * dy
    const across = Math.abs((to.x - from.x) * dy) + Math.abs((to.y - from.y) * dx)
    if (n === tile || along <= 0.01) continue
    if (along + across * 2 < least) {
      least = along + across * 2
      best = n
    }
  }
  return best
}
