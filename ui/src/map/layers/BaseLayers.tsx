import type { LayerSpecification } from 'maplibre-gl'
import { useEffect } from 'react'
import { urlOf } from '../../api/client'
import type { ThemeName } from '../../theme/tokens'
import { tokens } from '../../theme/tokens'
import { takeAway, useMap } from '../context'
import { MAP_FONT } from '../fonts'

const SOURCE = 'base'
const GREEN = ['forest', 'park', 'green', 'farmland', 'orchard'] as const
const MAIN_ROADS = ['main', 'motorway', 'trunk', 'primary', 'expressway', 'arterial', 'national'] as const
const RAIL = 'railway'

/** The built-in ground: land use, divisions, water, roads and place names, as imported. Drawn offline. */
export function BaseLayers({ theme }: { theme: ThemeName }) {
  const map = useMap()
  useEffect(() => {
    const t = tokens[theme]
    const layers: LayerSpecification[] = [
      { id: 'base-land', type: 'background', paint: { 'background-color': t.land } },
      {
        id: 'base-ground',
        type: 'fill',
        source: SOURCE,
        'source-layer': 'grounds',
        paint: {
          'fill-color': [
            'match',
            ['get', 'class'],
            [...GREEN],
            t.ok,
            ['industrial', 'chemical', 'utility', 'site'],
            t.warn,
            'wetland',
            t.water,
            t.line2,
          ],
          'fill-opacity': ['match', ['get', 'class'], ['forest', 'park'], 0.2, 0.11],
        },
      },
      {
        id: 'base-water',
        type: 'fill',
        source: SOURCE,
        'source-layer': 'water',
        filter: ['==', ['geometry-type'], 'Polygon'],
        paint: { 'fill-color': t.water },
      },
      {
        id: 'base-stream',
        type: 'line',
        source: SOURCE,
        'source-layer': 'water',
        filter: ['==', ['geometry-type'], 'LineString'],
        paint: { 'line-color': t.water, 'line-width': ['interpolate', ['linear'], ['zoom'], 9, 1, 16, 10] },
      },
      {
        id: 'base-road-edge',
        type: 'line',
        source: SOURCE,
        'source-layer': 'roads',
        minzoom: 11,
        filter: ['!=', ['get', 'class'], RAIL],
        layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: {
          'line-color': t.line,
          'line-width': ['interpolate', ['exponential', 1.5], ['zoom'], 11, 1, 13, 3, 18, 28],
          'line-opacity': theme === 'light' ? 1 : 0,
        },
      },
      {
        id: 'base-road',
        type: 'line',
        source: SOURCE,
        'source-layer': 'roads',
        filter: ['!', ['in', ['get', 'class'], ['literal', [...MAIN_ROADS, RAIL]]]],
        layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: {
          'line-color': t.road,
          'line-width': ['interpolate', ['exponential', 1.5], ['zoom'], 9, 0.5, 13, 2, 18, 20],
        },
      },
      {
        id: 'base-road-main',
        type: 'line',
        source: SOURCE,
        'source-layer': 'roads',
        filter: ['in', ['get', 'class'], ['literal', [...MAIN_ROADS]]],
        layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: {
          'line-color': t.roadMain,
          'line-width': ['interpolate', ['exponential', 1.5], ['zoom'], 9, 1.2, 13, 4.5, 18, 30],
        },
      },
      {
        id: 'base-rail',
        type: 'line',
        source: SOURCE,
        'source-layer': 'roads',
        filter: ['==', ['get', 'class'], RAIL],
        paint: { 'line-color': t.line2, 'line-width': ['interpolate', ['linear'], ['zoom'], 9, 0.8, 15, 3] },
      },
      {
        id: 'base-rail-ties',
        type: 'line',
        source: SOURCE,
        'source-layer': 'roads',
        minzoom: 11,
        filter: ['==', ['get', 'class'], RAIL],
        paint: {
          'line-color': t.land,
          'line-width': ['interpolate', ['linear'], ['zoom'], 11, 0.6, 15, 1.8],
          'line-dasharray': [5, 5],
        },
      },
      {
        id: 'base-division',
        type: 'line',
        source: SOURCE,
        'source-layer': 'divisions',
        paint: { 'line-color': t.line2, 'line-width': 1, 'line-dasharray': [4, 3] },
      },
      {
        id: 'base-road-name',
        type: 'symbol',
        source: SOURCE,
        'source-layer': 'roads',
        minzoom: 13,
        layout: {
          'symbol-placement': 'line',
          'symbol-spacing': 420,
          'text-field': ['get', 'name'],
          'text-font': [MAP_FONT],
          'text-size': 11,
        },
        paint: { 'text-color': t.fg2, 'text-halo-color': t.land, 'text-halo-width': 1.5 },
      },
      {
        id: 'base-place-name',
        type: 'symbol',
        source: SOURCE,
        'source-layer': 'places',
        layout: {
          'text-field': ['get', 'name'],
          'text-font': [MAP_FONT],
          'text-size': ['match', ['get', 'class'], 'district', 15, 12],
          'text-letter-spacing': ['match', ['get', 'class'], 'district', 0.15, 0],
          'text-padding': 8,
        },
        paint: {
          'text-color': ['match', ['get', 'class'], 'district', t.fg1, t.fg2],
          'text-halo-color': t.land,
          'text-halo-width': 1.5,
        },
      },
    ]
    map.addSource(SOURCE, {
      type: 'vector',
      tiles: [location.origin + urlOf('/tiles/base/{z}/{x}/{y}.mvt')],
      maxzoom: 14,
    })
    for (const layer of layers) map.addLayer(layer, 'slot-base')
    return () =>
      takeAway(
        map,
        layers.map(({ id }) => id),
        [SOURCE],
      )
  }, [map, theme])
  return null
}
