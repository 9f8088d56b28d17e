import type {
  ExpressionSpecification,
  LayerSpecification,
  MapGeoJSONFeature,
  MapMouseEvent,
  MapSourceDataEvent,
  PointLike,
  VectorTileSource,
} from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import { pathWith, urlOf } from '../../api/client'
import { onEvent } from '../../api/events'
import type { Id, PointState } from '../../api/types'
import { liveStates } from '../../registry/liveState'
import { tokens, type ThemeName } from '../../theme/tokens'
import { takeAway, useMap } from '../context'
import { isShown, showsNothing, tileQuery, type Filters } from '../filters'
import { MAP_FONT } from '../fonts'
import { moving } from '../moving'
import { drawRing, pointSymbols, readRing, RING_STEPS, SYMBOL_RATIO } from '../symbols'
import { CODE, MOVING_ZOOM, pointLook } from './look'
import { MOVING_LAYERS } from './MovingPoints'

const SOURCE = 'points'
const POINT_LAYERS = ['points-fill', 'points-hollow', 'points-slash'] as const
const CLUSTER_LAYER = 'clusters'
/** Rings show the states of when the tile was cut; after a change they are cut again, within a second … */
const CLUSTERS_SOON_MS = 700
/** … unless cutting them takes long: at most a twentieth of the time goes to it, but never are they older than this. */
const CLUSTERS_LATE_MS = 10_000
const CLUSTERS_SHARE = 20
const HIT_PX = 8
const TILES = { prefix: 'points', source: SOURCE, sourceLayer: 'points', leavesMoving: true }

function tilesOf(filters: Filters): string[] {
  // The placeholders of the address must stay as they are; only the query is encoded.
  return [location.origin + urlOf('/tiles/points/{z}/{x}/{y}.mvt') + pathWith('', tileQuery(filters))]
}

/** How many of a cluster are in a state that is shown. */
function clusterCount(filters: Filters): ExpressionSpecification {
  const shown = (['online', 'offline', 'unknown'] as const).filter((state) => isShown(filters.state, state))
  if (shown.length === 3) return ['get', 'count']
  return ['+', 0, ...shown.map((state): ExpressionSpecification => ['coalesce', ['get', `n_${state}`], 0])]
}

function steps(name: string, count: ExpressionSpecification): ExpressionSpecification {
  // At least one step for what is there at all: one dark camera among hundreds must be seen.
  const value: ExpressionSpecification = ['coalesce', ['get', name], 0]
  return [
    'case',
    ['==', value, 0],
    0,
    ['max', 1, ['min', RING_STEPS - 1, ['round', ['*', RING_STEPS, ['/', value, ['max', 1, count]]]]]],
  ]
}

function clusterLayer(filters: Filters, theme: ThemeName): LayerSpecification {
  const t = tokens[theme]
  const count = clusterCount(filters)
  const size: ExpressionSpecification = ['step', count, 36, 25, 42, 100, 48, 500, 56, 5_000, 64]
  const shown = (state: PointState): ExpressionSpecification =>
    isShown(filters.state, state) ? steps(`n_${state}`, count) : ['+', 0, 0]
  const off: ExpressionSpecification = shown('offline')
  const unknown: ExpressionSpecification = shown('unknown')
  const online: ExpressionSpecification = isShown(filters.state, 'online')
    ? ['max', 0, ['-', RING_STEPS, ['+', off, unknown]]]
    : ['+', 0, 0]
  const dark: ExpressionSpecification = ['min', off, ['-', RING_STEPS, online]]
  return {
    id: CLUSTER_LAYER,
    type: 'symbol',
    source: SOURCE,
    'source-layer': 'clusters',
    filter: ['>', count, 0],
    layout: {
      'icon-image': [
        'concat',
        'ring-',
        ['to-string', size],
        '-',
        ['to-string', online],
        '-',
        ['to-string', dark],
      ],
      'icon-allow-overlap': true,
      'text-allow-overlap': true,
      'text-field': [
        'case',
        ['<', count, 10_000],
        ['to-string', count],
        ['concat', ['to-string', ['/', ['round', ['/', count, 100]], 10]], 'k'],
      ],
      'text-font': [MAP_FONT],
      'text-size': 12,
    },
    paint: { 'text-color': t.fg0 },
  }
}

export interface Hover {
  id: Id
  x: number
  y: number
}

interface PointLayersProps {
  theme: ThemeName
  filters: Filters
  /** False while something is being drawn: clicks then belong to the drawing. */
  picking: boolean
  onPick: (id: Id) => void
  onHover: (hover: Hover | null) => void
}

/** Points and clusters from server-cut tiles; their live state is laid over them and never reloads a tile. */
export function PointLayers({ theme, filters, picking, onPick, onHover }: PointLayersProps) {
  const map = useMap()
  const said = useRef({ onPick, onHover, filters })
  useEffect(() => {
    said.current = { onPick, onHover, filters }
  })
  const tilesKey = pathWith('', tileQuery(filters))
  const stateKey = filters.state?.join() ?? ''

  useEffect(() => {
    const { filters: now } = said.current
    for (const { name, image } of pointSymbols()) {
      if (!map.hasImage(name)) map.addImage(name, image, { sdf: true, pixelRatio: SYMBOL_RATIO })
    }
    map.setMissingStyleImageResolver((name) => {
      const ring = readRing(name)
      const image = ring ? drawRing(ring, tokens[theme]) : null
      if (image) map.addImage(name, image, { pixelRatio: SYMBOL_RATIO })
    })
    map.addSource(SOURCE, { type: 'vector', tiles: tilesOf(now), maxzoom: 19, promoteId: { points: 'pid' } })
    const layers = [...pointLook(now, theme, TILES), clusterLayer(now, theme)]
    for (const layer of layers) map.addLayer(layer, 'slot-points')
    const put = (id: Id, state: PointState) =>
      map.setFeatureState({ source: SOURCE, sourceLayer: 'points', id }, { s: CODE[state] })
    for (const [id, { state }] of liveStates.entries()) put(id, state)
    return () => {
      takeAway(
        map,
        layers.map(({ id }) => id),
        [SOURCE],
      )
      if (map._removed) return
      map.setMissingStyleImageResolver(null)
      for (const name of map.listImages()) if (name.startsWith('ring-')) map.removeImage(name)
    }
  }, [map, theme])

  // Another choice of kinds, classes or owners is another set of tiles; another choice of states is only paint.
  useEffect(() => {
    map.getSource<VectorTileSource>(SOURCE)?.setTiles(tilesOf(said.current.filters))
  }, [map, tilesKey])
  useEffect(() => {
    const { filters: now } = said.current
    for (const layer of pointLook(now, theme, TILES)) {
      if (!('paint' in layer) || !layer.paint || !map.getLayer(layer.id)) continue
      const { 'icon-opacity': opacity } = layer.paint as { 'icon-opacity': ExpressionSpecification }
      map.setPaintProperty(layer.id, 'icon-opacity', opacity)
    }
    if (map.getLayer(CLUSTER_LAYER)) {
      map.removeLayer(CLUSTER_LAYER)
      map.addLayer(clusterLayer(now, theme), 'slot-points')
    }
  }, [map, theme, stateKey])

  // What moves is drawn where it is: its place in the tile is left empty.
  useEffect(() => {
    let left: readonly Id[] = []
    const mark = (id: Id, m: 0 | 1) =>
      map.setFeatureState({ source: SOURCE, sourceLayer: 'points', id }, { m })
    const follow = () => {
      if (!map.getSource(SOURCE)) return
      for (const id of left) if (!moving.get(id)) mark(id, 0)
      left = moving.ids()
      for (const id of left) mark(id, 1)
    }
    follow()
    const stops = [moving.subscribe(follow), liveStates.onRestart(follow), onEvent('points', follow)]
    return () => {
      for (const stop of stops) stop()
    }
  }, [map, theme])

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let took = 0
    const refresh = () => {
      const begun = performance.now()
      const loaded = ({ sourceId }: MapSourceDataEvent) => {
        if (sourceId !== SOURCE || !map.getSource(SOURCE) || !map.isSourceLoaded(SOURCE)) return
        map.off('sourcedata', loaded)
        took = performance.now() - begun
      }
      map.on('sourcedata', loaded)
      map.refreshTiles(SOURCE)
    }
    const stop = liveStates.subscribe((ids) => {
      if (!map.getSource(SOURCE)) return
      for (const id of ids) {
        const state = liveStates.get(id)?.state
        if (state) map.setFeatureState({ source: SOURCE, sourceLayer: 'points', id }, { s: CODE[state] })
      }
      timer ??= setTimeout(
        () => {
          timer = undefined
          if (
            !map._removed &&
            map.getSource(SOURCE) &&
            map.queryRenderedFeatures({ layers: [CLUSTER_LAYER] }).length > 0
          )
            refresh()
        },
        Math.min(CLUSTERS_LATE_MS, Math.max(CLUSTERS_SOON_MS, took * CLUSTERS_SHARE)),
      )
    })
    const anew = () => {
      if (!map.getSource(SOURCE)) return
      map.removeFeatureState({ source: SOURCE, sourceLayer: 'points' })
      for (const [id, { state }] of liveStates.entries())
        map.setFeatureState({ source: SOURCE, sourceLayer: 'points', id }, { s: CODE[state] })
      map.refreshTiles(SOURCE)
    }
    const stopRestarts = liveStates.onRestart(anew)
    const stopPoints = onEvent('points', anew)
    const stopLagged = onEvent('lagged', anew)
    return () => {
      stop()
      stopRestarts()
      stopPoints()
      stopLagged()
      clearTimeout(timer)
    }
  }, [map])

  // Where nothing is to be shown, nothing is asked for either: to the server, an empty list means all.
  const hidden = showsNothing(filters)
  useEffect(() => {
    for (const id of [...POINT_LAYERS, CLUSTER_LAYER])
      if (map.getLayer(id)) map.setLayoutProperty(id, 'visibility', hidden ? 'none' : 'visible')
  }, [map, theme, stateKey, hidden])

  useEffect(() => {
    if (!picking) return undefined
    const at = ({ point }: MapMouseEvent): MapGeoJSONFeature | null => {
      const layers = [...POINT_LAYERS.slice(0, 2), ...MOVING_LAYERS.slice(0, 2), CLUSTER_LAYER].filter((id) =>
        map.getLayer(id),
      )
      const box: [PointLike, PointLike] = [
        [point.x - HIT_PX, point.y - HIT_PX],
        [point.x + HIT_PX, point.y + HIT_PX],
      ]
      const near = (feature: MapGeoJSONFeature) => {
        if (feature.geometry.type !== 'Point') return Infinity
        const [x = 0, y = 0] = feature.geometry.coordinates
        const screen = map.project([x, y])
        return Math.hypot(screen.x - point.x, screen.y - point.y)
      }
      const seen = ({ source, sourceLayer, properties }: MapGeoJSONFeature) => {
        if (sourceLayer === 'clusters') return true
        const id = String(properties.pid)
        if (source === SOURCE && map.getZoom() >= MOVING_ZOOM && moving.get(id)) return false
        return isShown(
          said.current.filters.state,
          liveStates.get(id)?.state ?? (properties.state as PointState),
        )
      }
      const found = map.queryRenderedFeatures(box, { layers }).filter(seen)
      return found.sort((a, b) => near(a) - near(b))[0] ?? null
    }
    const click = (event: MapMouseEvent) => {
      const feature = at(event)
      if (!feature) return
      if (feature.sourceLayer === 'clusters' && feature.geometry.type === 'Point') {
        const [x = 0, y = 0] = feature.geometry.coordinates
        map.easeTo({ center: [x, y], zoom: Math.min(map.getZoom() + 2, 17), duration: 400 })
      } else said.current.onPick(String(feature.properties.pid))
    }
    const move = (event: MapMouseEvent) => {
      const feature = at(event)
      map.getCanvas().style.cursor = feature ? 'pointer' : ''
      const id = feature && feature.sourceLayer !== 'clusters' ? String(feature.properties.pid) : null
      said.current.onHover(id === null ? null : { id, x: event.point.x, y: event.point.y })
    }
    const leave = () => said.current.onHover(null)
    map.on('click', click)
    map.on('mousemove', move)
    map.on('mouseout', leave)
    map.on('movestart', leave)
    return () => {
      map.off('click', click)
      map.off('mousemove', move)
      map.off('mouseout', leave)
      map.off('movestart', leave)
      map.getCanvas().style.cursor = ''
    }
  }, [map, picking])
  return null
}
