import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import './table.css'

export interface Column<T> {
  key: string
  title: ReactNode
  /** A grid track: `160px`, `minmax(160px, 1fr)`. */
  width: string
  render: (row: T) => ReactNode
  align?: 'end'
}

export interface DataTableProps<T> {
  label: string
  rows: readonly T[]
  columns: readonly Column<T>[]
  rowKey: (row: T) => string
  onOpen?: (row: T) => void
  selected?: string | null
  /** Called when the last rows come into sight. */
  onEnd?: (() => void) | undefined
  rowHeight?: number
  /** Shown in place of rows when there are none. */
  empty?: ReactNode
  /** Leaves the header row out (it stays for screen readers). */
  bare?: boolean
}

/**
 * The one table: only the rows in sight exist, so a hundred thousand scroll like ten. Arrow keys walk, Enter opens.
 */
export function DataTable<T>({
  label,
  rows,
  columns,
  rowKey,
  onOpen,
  selected = null,
  onEnd,
  rowHeight = 36,
  empty,
  bare = false,
}: DataTableProps<T>) {
  const scroller = useRef<HTMLDivElement>(null)
  const [focused, setFocused] = useState(0)
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  })
  const visible = virtual.getVirtualItems()
  const last = visible.at(-1)?.index ?? -1
  const atEnd = last >= rows.length - 4
  useEffect(() => {
    if (atEnd) onEnd?.()
  }, [atEnd, onEnd, rows.length])
  const current = Math.min(focused, Math.max(0, rows.length - 1))

  const focusRow = (index: number) => {
    setFocused(index)
    virtual.scrollToIndex(index)
    requestAnimationFrame(() =>
      scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"]`)?.focus({ preventScroll: true }),
    )
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if ((event.target as HTMLElement).dataset.index === undefined) return
    const page = Math.max(1, visible.length - 14)
    const move: Record<string, number> = {
      ArrowDown: current + 1,
      ArrowUp: current - 1,
      PageDown: current + page,
      PageUp: current - page,
      Home: 0,
      End: rows.length - 1,
    }
    const next = move[event.key]
    const row = rows[current]
    if (next !== undefined) focusRow(Math.max(0, Math.min(rows.length - 1, next)))
    else if (event.key === 'Enter' && onOpen && row) onOpen(row)
    else return
    event.preventDefault()
  }
  const tracks = columns.map((column) => column.width).join(' ')
  return (
    <div
      className={onOpen ? 'table table-opens' : 'table'}
      role={onOpen ? 'grid' : 'table'}
      aria-label={label}
      aria-rowcount={rows.length + 1}
      ref={scroller}
      onKeyDown={onKeyDown}
    >
      <div
        className={bare ? 'visually-hidden' : 'table-head'}
        role="row"
        style={{ gridTemplateColumns: tracks }}
      >
        {columns.map((column) => (
          <span key={column.key} role="columnheader" className={column.align === 'end' ? 'end' : undefined}>
            {column.title}
          </span>
        ))}
      </div>
      {rows.length === 0 ? (
        empty
      ) : (
        <div className="table-body" role="presentation" style={{ height: virtual.getTotalSize() }}>
          {visible.map(({ index, start }) => {
            const row = rows[index]
            if (row === undefined) return null
            const key = rowKey(row)
            return (
              <div
                key={key}
                role="row"
                className="table-row"
                data-index={index}
                aria-rowindex={index + 2}
                aria-selected={onOpen ? key === selected : undefined}
                tabIndex={onOpen ? (index === current ? 0 : -1) : undefined}
                style={{
                  gridTemplateColumns: tracks,
                  height: rowHeight,
                  transform: `translateY(${start}px)`,
                }}
                onClick={() => {
                  setFocused(index)
                  onOpen?.(row)
                }}
              >
                {columns.map((column) => (
                  <span
                    key={column.key}
                    role={onOpen ? 'gridcell' : 'cell'}
                    className={column.align === 'end' ? 'end' : undefined}
                  >
                    {column.render(row)}
                  </span>
                ))}
              </div>
            )
          })}
        </div>
      )}
    </div>
  )
}
