import { useRef, useState, type KeyboardEvent, type MouseEvent, type PointerEvent } from 'react'
import { useTranslation } from 'react-i18next'
import {
  cornerAt,
  faultOf,
  FEWEST,
  middleOf,
  moved,
  pointsOf,
  shifted,
  split,
  without,
  type Corner,
  type Polygon,
} from './geometry'

const STEP = 0.01
const FINE = 0.001
const ARROWS: Record<string, Corner> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
}

interface CanvasProps {
  /** Of the still, in its own pixels. */
  width: number
  height: number
  polygons: readonly { name: string; polygon: Polygon }[]
  selected: number | null
  onSelect: (n: number | null) => void
  onChange: (n: number, polygon: Polygon) => void
  onRemove: (n: number) => void
  /** The corners set so far of a mask that is being drawn; null: none is. */
  drawing: Polygon | null
  onDrawing: (polygon: Polygon | null) => void
  onDrawn: (polygon: Polygon) => void
}

type Grip = { n: number; corner: number | null; from: Corner; polygon: Polygon }

/** The masks over the still: corners that are dragged or moved by keys, edges that gain corners, masks that move whole. */
export function Canvas({
  width,
  height,
  polygons,
  selected,
  onSelect,
  onChange,
  onRemove,
  drawing,
  onDrawing,
  onDrawn,
}: CanvasProps) {
  const { t } = useTranslation()
  const svg = useRef<SVGSVGElement>(null)
  const grip = useRef<Grip | null>(null)
  // A drag ends with a click on the canvas, which took the pointer: that one selects nothing else.
  const gripped = useRef(false)
  const [pointer, setPointer] = useState<Corner | null>(null)
  // Sizes in the still's own pixels that are about the same on every screen.
  const radius = width / 130
  const at = (event: { clientX: number; clientY: number }): Corner => {
    const box = svg.current?.getBoundingClientRect()
    if (!box || box.width === 0) return [0, 0]
    return cornerAt((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height)
  }
  const take = (event: PointerEvent, n: number, corner: number | null) => {
    const polygon = polygons[n]?.polygon
    if (drawing !== null || polygon === undefined || event.button !== 0) return
    event.stopPropagation()
    onSelect(n)
    grip.current = { n, corner, from: at(event), polygon }
    svg.current?.setPointerCapture(event.pointerId)
  }
  const drag = (event: PointerEvent) => {
    const to = at(event)
    if (drawing !== null) setPointer(to)
    const held = grip.current
    if (held === null) return
    const [x, y] = held.from
    onChange(
      held.n,
      held.corner === null
        ? shifted(held.polygon, to[0] - x, to[1] - y)
        : moved(held.polygon, held.corner, to),
    )
  }
  const drop = () => {
    gripped.current = grip.current !== null
    grip.current = null
  }
  const click = (event: MouseEvent) => {
    if (drawing === null) {
      if (event.target === svg.current && !gripped.current) onSelect(null)
      gripped.current = false
      return
    }
    const corner = at(event)
    const first = drawing[0]
    const near =
      first !== undefined &&
      Math.hypot((corner[0] - first[0]) * width, (corner[1] - first[1]) * height) < radius * 2
    if (near && drawing.length >= FEWEST) onDrawn(drawing)
    else if (!near) onDrawing([...drawing, corner])
  }
  const press = (event: KeyboardEvent, n: number, corner: number | null) => {
    const polygon = polygons[n]?.polygon
    if (polygon === undefined) return
    const arrow = ARROWS[event.key]
    if (arrow) {
      const by = event.shiftKey ? FINE : STEP
      const [x, y] = corner === null ? [0, 0] : (polygon[corner] ?? [0, 0])
      onChange(
        n,
        corner === null
          ? shifted(polygon, arrow[0] * by, arrow[1] * by)
          : moved(polygon, corner, [x + arrow[0] * by, y + arrow[1] * by]),
      )
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      if (corner === null) onRemove(n)
      else onChange(n, without(polygon, corner))
    } else if (event.key === '+' && corner !== null) {
      onChange(n, split(polygon, corner))
    } else return
    event.preventDefault()
    event.stopPropagation()
  }
  const shown = drawing === null ? null : pointer === null ? drawing : [...drawing, pointer]
  return (
    <svg
      ref={svg}
      className={drawing === null ? 'mask-canvas' : 'mask-canvas mask-drawing'}
      viewBox={`0 0 ${width} ${height}`}
      role="group"
      aria-label={t('media:masks.canvas')}
      onPointerMove={drag}
      onPointerUp={drop}
      onPointerCancel={drop}
      onClick={click}
      onDoubleClick={() => drawing !== null && drawing.length >= FEWEST && onDrawn(drawing)}
    >
      {polygons.map(({ name, polygon }, n) => (
        <g key={n}>
          <polygon
            points={pointsOf(polygon, width, height)}
            className={faultOf(polygon) === null ? 'mask-area' : 'mask-area mask-wrong'}
            data-selected={n === selected}
            tabIndex={0}
            role="button"
            aria-label={t('media:masks.area', { name: name || t('media:masks.nameless', { n: n + 1 }) })}
            aria-pressed={n === selected}
            onPointerDown={(event) => take(event, n, null)}
            onFocus={() => onSelect(n)}
            onKeyDown={(event) => press(event, n, null)}
          />
          {n === selected && drawing === null ? (
            <>
              {polygon.map((_, corner) => {
                const [x, y] = middleOf(polygon, corner)
                return (
                  <circle
                    key={`edge-${corner}`}
                    className="mask-edge"
                    cx={x * width}
                    cy={y * height}
                    r={radius * 0.6}
                    onPointerDown={(event) => {
                      event.stopPropagation()
                      onChange(n, split(polygon, corner))
                      grip.current = {
                        n,
                        corner: corner + 1,
                        from: at(event),
                        polygon: split(polygon, corner),
                      }
                      svg.current?.setPointerCapture(event.pointerId)
                    }}
                  />
                )
              })}
              {polygon.map(([x, y], corner) => (
                <circle
                  key={`corner-${corner}`}
                  className="mask-corner"
                  cx={x * width}
                  cy={y * height}
                  r={radius}
                  tabIndex={0}
                  role="button"
                  aria-label={t('media:masks.corner', {
                    n: corner + 1,
                    of: polygon.length,
                    x: (x * 100).toFixed(1),
                    y: (y * 100).toFixed(1),
                  })}
                  onPointerDown={(event) => take(event, n, corner)}
                  onKeyDown={(event) => press(event, n, corner)}
                />
              ))}
            </>
          ) : null}
        </g>
      ))}
      {shown === null || drawing === null ? null : (
        <g className="mask-sketch">
          <polyline points={pointsOf(shown, width, height)} />
          {drawing.map(([x, y], n) => (
            <circle key={n} cx={x * width} cy={y * height} r={n === 0 ? radius : radius * 0.6} />
          ))}
        </g>
      )}
    </svg>
  )
}
