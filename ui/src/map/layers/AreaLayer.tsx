import type { Feature } from 'geojson'
import type { GeoJSONSource, MapMouseEvent } from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import { tokens, type ThemeName } from '../../theme/tokens'
import { outline, type Area, type Position } from '../areas'
import { takeAway, useMap } from '../context'

const SOURCE = 'area'
const LAYERS = ['area-fill', 'area-line']
const CLOSE_PX = 10
const LEAST_PX = 6

export type DrawTool = 'box' | 'polygon'

interface AreaLayerProps {
  theme: ThemeName
  area: Area | null
  tool: DrawTool | null
  onDrawn: (area: Area) => void
}

function shape(ring: readonly Position[]): Feature[] {
  if (ring.length < 2) return []
  const closed = ring.length >= 4 && ring[0]?.join() === ring.at(-1)?.join()
  return [
    {
      type: 'Feature',
      properties: {},
      geometry: closed
        ? { type: 'Polygon', coordinates: [[...ring]] }
        : { type: 'LineString', coordinates: [...ring] },
    },
  ]
}

/** The chosen area, and the drawing of one: drag a box, or click corners (double-click or the first corner closes). */
export function AreaLayer({ theme, area, tool, onDrawn }: AreaLayerProps) {
  const map = useMap()
  const done = useRef(onDrawn)
  useEffect(() => {
    done.current = onDrawn
  })

  useEffect(() => {
    const t = tokens[theme]
    map.addSource(SOURCE, { type: 'geojson', data: { type: 'FeatureCollection', features: [] } })
    map.addLayer(
      {
        id: 'area-fill',
        type: 'fill',
        source: SOURCE,
        filter: ['==', ['geometry-type'], 'Polygon'],
        paint: { 'fill-color': t.accent, 'fill-opacity': 0.08 },
      },
      'slot-areas',
    )
    map.addLayer(
      {
        id: 'area-line',
        type: 'line',
        source: SOURCE,
        paint: { 'line-color': t.accent, 'line-width': 1.5, 'line-dasharray': [3, 2] },
      },
      'slot-areas',
    )
    return () => takeAway(map, LAYERS, [SOURCE])
  }, [map, theme])

  useEffect(() => {
    const features = area && !tool ? shape(outline(area)) : []
    void map.getSource<GeoJSONSource>(SOURCE)?.setData({ type: 'FeatureCollection', features })
  }, [map, theme, area, tool])

  useEffect(() => {
    if (!tool) return undefined
    const show = (ring: Position[]) =>
      void map.getSource<GeoJSONSource>(SOURCE)?.setData({ type: 'FeatureCollection', features: shape(ring) })
    const place = (event: MapMouseEvent): Position => [event.lngLat.lng, event.lngLat.lat]
    const canvas = map.getCanvas()
    canvas.style.cursor = 'crosshair'
    map.doubleClickZoom.disable()

    let corners: Position[] = []
    let from: MapMouseEvent | null = null
    const box = (to: MapMouseEvent): Area | null => {
      if (!from) return null
      const far = Math.hypot(to.point.x - from.point.x, to.point.y - from.point.y)
      const [a, b] = [place(from), place(to)]
      if (far < LEAST_PX || a[0] === b[0] || a[1] === b[1]) return null
      return {
        shape: 'box',
        west: Math.min(a[0], b[0]),
        south: Math.min(a[1], b[1]),
        east: Math.max(a[0], b[0]),
        north: Math.max(a[1], b[1]),
      }
    }
    const down = (event: MapMouseEvent) => {
      if (tool !== 'box') return
      event.preventDefault()
      from = event
    }
    const move = (event: MapMouseEvent) => {
      canvas.style.cursor = 'crosshair'
      if (tool === 'box') {
        const drawn = box(event)
        if (drawn) show(outline(drawn))
      } else if (corners.length > 0) {
        const open = [...corners, place(event)]
        show(open.length >= 3 && open[0] ? [...open, open[0]] : open)
      }
    }
    const up = (event: MapMouseEvent) => {
      const drawn = box(event)
      from = null
      if (drawn) done.current(drawn)
    }
    const finish = () => {
      if (corners.length >= 3) done.current({ shape: 'polygon', corners })
    }
    const click = (event: MapMouseEvent) => {
      event.preventDefault()
      if (tool !== 'polygon') return
      const start = corners[0]
      if (start && corners.length >= 3) {
        const screen = map.project(start)
        if (Math.hypot(screen.x - event.point.x, screen.y - event.point.y) < CLOSE_PX) {
          finish()
          return
        }
      }
      corners = [...corners, place(event)]
    }
    const twice = (event: MapMouseEvent) => {
      event.preventDefault()
      // The second click of the pair has set a corner of its own.
      corners = corners.slice(0, -1)
      finish()
    }
    map.on('mousedown', down)
    map.on('mousemove', move)
    map.on('mouseup', up)
    map.on('click', click)
    map.on('dblclick', twice)
    return () => {
      map.off('mousedown', down)
      map.off('mousemove', move)
      map.off('mouseup', up)
      map.off('click', click)
      map.off('dblclick', twice)
      canvas.style.cursor = ''
      map.doubleClickZoom.enable()
    }
  }, [map, tool])
  return null
}
