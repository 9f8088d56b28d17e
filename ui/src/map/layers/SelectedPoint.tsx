import type { Feature } from 'geojson'
import type { GeoJSONSource } from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import { placeOf, type Moving, type PointDetail } from '../../api/types'
import { tokens, type ThemeName } from '../../theme/tokens'
import { cone, type Position } from '../areas'
import { takeAway, useMap } from '../context'

const SOURCE = 'selected'
const LAYERS = ['selected-cone', 'selected-edge', 'selected-ring']
/** The fan is drawn this long on the screen, within what a camera can sensibly see. */
const CONE_PX = 120
const CONE_M = { least: 40, most: 900 }

interface SelectedPointProps {
  point: PointDetail
  /** Where it said it was last, where it moves. */
  moved: Moving | undefined
  theme: ThemeName
}

/** The selected point: a ring around it and, where its direction is known, the fan of its view. */
export function SelectedPoint({ point, moved, theme }: SelectedPointProps) {
  const map = useMap()
  const where = useRef(moved)
  const redraws = useRef<() => void>(() => undefined)
  useEffect(() => {
    where.current = moved
    redraws.current()
  }, [moved])
  useEffect(() => {
    const t = tokens[theme]
    const features = (): Feature[] => {
      const at: Position | null = placeOf(where.current ?? point)
      if (at === null) return []
      // Which way something goes is not which way its camera looks.
      const heading = where.current ? null : point.heading
      const metresPerPx = (156_543.034 * Math.cos((at[1] * Math.PI) / 180)) / 2 ** (map.getZoom() + 1)
      const reach = Math.min(CONE_M.most, Math.max(CONE_M.least, CONE_PX * metresPerPx))
      const out: Feature[] = [
        { type: 'Feature', properties: {}, geometry: { type: 'Point', coordinates: at } },
      ]
      if (typeof heading === 'number') {
        const ring = cone(at, heading, point.fov ?? 60, reach)
        out.push({ type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: [ring] } })
      }
      return out
    }
    const redraw = () =>
      void map.getSource<GeoJSONSource>(SOURCE)?.setData({ type: 'FeatureCollection', features: features() })
    map.addSource(SOURCE, { type: 'geojson', data: { type: 'FeatureCollection', features: features() } })
    map.addLayer(
      {
        id: 'selected-cone',
        type: 'fill',
        source: SOURCE,
        filter: ['==', ['geometry-type'], 'Polygon'],
        paint: { 'fill-color': t.accent, 'fill-opacity': 0.22 },
      },
      'slot-areas',
    )
    map.addLayer(
      {
        id: 'selected-edge',
        type: 'line',
        source: SOURCE,
        filter: ['==', ['geometry-type'], 'Polygon'],
        paint: { 'line-color': t.accent, 'line-opacity': 0.6, 'line-width': 1 },
      },
      'slot-areas',
    )
    map.addLayer(
      {
        id: 'selected-ring',
        type: 'circle',
        source: SOURCE,
        filter: ['==', ['geometry-type'], 'Point'],
        paint: {
          'circle-radius': 11,
          'circle-color': t.accent,
          'circle-opacity': 0.18,
          'circle-stroke-color': t.fg0,
          'circle-stroke-width': 2,
        },
      },
      'slot-top',
    )
    redraws.current = redraw
    map.on('zoom', redraw)
    return () => {
      redraws.current = () => undefined
      map.off('zoom', redraw)
      takeAway(map, LAYERS, [SOURCE])
    }
  }, [map, theme, point])
  return null
}
