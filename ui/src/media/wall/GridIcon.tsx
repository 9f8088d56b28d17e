import { cellsOf, type Grid } from './wallState'

/** A grid as a small drawing of itself. */
export function GridIcon({ grid }: { grid: Grid }) {
  const { columns, cells } = cellsOf(grid)
  const unit = 16 / columns
  return (
    <svg width="18" height="18" viewBox="-1 -1 18 18" aria-hidden>
      {cells.map(({ column, row, span }) => (
        <rect
          key={`${column}-${row}`}
          x={column * unit + 0.6}
          y={row * unit + 0.6}
          width={span * unit - 1.2}
          height={span * unit - 1.2}
          rx="0.8"
          fill="none"
          stroke="currentColor"
          strokeWidth="1.2"
        />
      ))}
    </svg>
  )
}
