import { useEffect, useRef } from 'react'
import { placeOf, type Moving, type PointDetail } from '../api/types'
import { useMap } from './context'

/** From here on every point stands for itself. */
const CLOSE_ZOOM = 16
/** What the panels cover, so that the point comes to stand in the open. Pixels. */
const PADDING = { left: 300, right: 420, top: 40, bottom: 80 }

/** Brings a chosen point into sight, once per choice, and only if it is not in sight already. */
export function useGoThere(point: PointDetail | null, moved: Moving | undefined): void {
  const map = useMap()
  const last = useRef<string | null>(null)
  useEffect(() => {
    if (!point) {
      last.current = null
      return
    }
    const at = placeOf(moved ?? point)
    if (last.current === point.id || at === null) return
    last.current = point.id
    const screen = map.project(at)
    const { clientWidth, clientHeight } = map.getCanvas()
    const open =
      screen.x > PADDING.left &&
      screen.x < clientWidth - PADDING.right &&
      screen.y > PADDING.top &&
      screen.y < clientHeight - PADDING.bottom
    if (open && map.getZoom() >= CLOSE_ZOOM) return
    map.easeTo({
      center: at,
      zoom: Math.max(map.getZoom(), CLOSE_ZOOM),
      offset: [(PADDING.left - PADDING.right) / 2, (PADDING.top - PADDING.bottom) / 2],
      duration: 600,
    })
  }, [map, point, moved])
}
