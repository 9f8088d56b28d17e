import type { FeatureCollection } from 'geojson'
import type { ExpressionSpecification, GeoJSONSource } from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import type { Id, PointState } from '../../api/types'
import { liveStates } from '../../registry/liveState'
import type { ThemeName } from '../../theme/tokens'
import { takeAway, useMap } from '../context'
import { showsNothing, tileQuery, type Filters } from '../filters'
import { moving, useMoving } from '../moving'
import { CODE, pointLook } from './look'

const SOURCE = 'moving'
export const MOVING_LAYERS = ['moving-fill', 'moving-hollow', 'moving-slash'] as const

function features(): FeatureCollection {
  return {
    type: 'FeatureCollection',
    features: moving.points().map(({ point, kind, class: pointClass, state, longitude, latitude }) => ({
      type: 'Feature',
      properties: { pid: point, kind, class: pointClass, state },
      geometry: { type: 'Point', coordinates: [longitude, latitude] },
    })),
  }
}

/** Points that tell where they are, drawn where they said so last. Their symbols come with those of the tiles. */
export function MovingPoints({ theme, filters }: { theme: ThemeName; filters: Filters }) {
  const map = useMap()
  useMoving(showsNothing(filters) ? null : tileQuery(filters))
  const now = useRef(filters)
  useEffect(() => {
    now.current = filters
  })
  const stateKey = filters.state?.join() ?? ''

  useEffect(() => {
    map.addSource(SOURCE, { type: 'geojson', data: features(), promoteId: 'pid' })
    for (const layer of pointLook(now.current, theme, { prefix: SOURCE, source: SOURCE })) {
      map.addLayer(layer, 'slot-points')
    }
    const put = (id: Id, state: PointState) => map.setFeatureState({ source: SOURCE, id }, { s: CODE[state] })
    const draw = () => void map.getSource<GeoJSONSource>(SOURCE)?.setData(features())
    const paint = (ids: readonly Id[]) => {
      for (const id of ids) {
        const state = liveStates.get(id)?.state
        if (state && moving.get(id)) put(id, state)
      }
    }
    paint(moving.ids())
    const stops = [
      moving.subscribe(() => {
        draw()
        paint(moving.ids())
      }),
      liveStates.subscribe(paint),
      liveStates.onRestart(() => map.removeFeatureState({ source: SOURCE })),
    ]
    return () => {
      for (const stop of stops) stop()
      takeAway(map, MOVING_LAYERS, [SOURCE])
    }
  }, [map, theme])

  useEffect(() => {
    for (const layer of pointLook(now.current, theme, { prefix: SOURCE, source: SOURCE })) {
      if (!('paint' in layer) || !layer.paint || !map.getLayer(layer.id)) continue
      const { 'icon-opacity': opacity } = layer.paint as { 'icon-opacity': ExpressionSpecification }
      map.setPaintProperty(layer.id, 'icon-opacity', opacity)
    }
  }, [map, theme, stateKey])
  return null
}
