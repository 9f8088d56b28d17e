import type { ExpressionSpecification, LayerSpecification } from 'maplibre-gl'
import type { PointState } from '../../api/types'
import { tokens, type ThemeName } from '../../theme/tokens'
import { isShown, type Filters } from '../filters'

/** What points look like on the map, those from tiles and those that move. */

export const CODE: Record<PointState, number> = { unknown: 0, online: 1, offline: 2 }
/** What the stream said last, or else what the tile said when it was cut. */
const live: ExpressionSpecification = [
  'coalesce',
  ['feature-state', 's'],
  ['match', ['get', 'state'], 'online', CODE.online, 'offline', CODE.offline, CODE.unknown],
]

function byState<T extends string | number>(online: T, offline: T, unknown: T): ExpressionSpecification {
  return ['match', live, CODE.online, online, CODE.offline, offline, unknown]
}

/** From this zoom on what moves is drawn where it is; farther off it counts where it is registered. */
export const MOVING_ZOOM = 11

interface Drawn {
  /** What the layers' names begin with. */
  prefix: string
  source: string
  sourceLayer?: string
  /** Whether features in the state `m` are drawn by somebody else. */
  leavesMoving?: boolean
}

export function pointLook(filters: Filters, theme: ThemeName, drawn: Drawn): LayerSpecification[] {
  const t = tokens[theme]
  const opacity = (state: PointState, value: number) => (isShown(filters.state, state) ? value : 0)
  const size: ExpressionSpecification = [
    'interpolate',
    ['linear'],
    ['zoom'],
    10,
    ['match', ['get', 'class'], 1, 0.5, 2, 0.45, 0.4],
    14,
    ['match', ['get', 'class'], 1, 0.8, 2, 0.72, 0.66],
    17,
    ['match', ['get', 'class'], 1, 1.15, 2, 1.05, 0.95],
  ]
  const shared = { 'icon-allow-overlap': true, 'icon-ignore-placement': true, 'icon-size': size } as const
  const common = {
    type: 'symbol' as const,
    source: drawn.source,
    ...(drawn.sourceLayer ? { 'source-layer': drawn.sourceLayer } : { minzoom: MOVING_ZOOM }),
  }
  const shown = (value: ExpressionSpecification): ExpressionSpecification =>
    drawn.leavesMoving
      ? ['step', ['zoom'], value, MOVING_ZOOM, ['case', ['==', ['feature-state', 'm'], 1], 0, value]]
      : value
  return [
    {
      ...common,
      id: `${drawn.prefix}-fill`,
      layout: { ...shared, 'icon-image': ['concat', 'point-', ['get', 'kind']] },
      paint: {
        'icon-color': byState(t.ok, t.bad, t.unk),
        'icon-opacity': shown(byState(opacity('online', 1), opacity('offline', 1), 0)),
        'icon-halo-color': t.land,
        'icon-halo-width': 1.2,
      },
    },
    {
      ...common,
      id: `${drawn.prefix}-hollow`,
      layout: { ...shared, 'icon-image': ['concat', 'hollow-', ['get', 'kind']] },
      paint: { 'icon-color': t.unk, 'icon-opacity': shown(byState(0, 0, opacity('unknown', 1))) },
    },
    {
      ...common,
      id: `${drawn.prefix}-slash`,
      layout: { ...shared, 'icon-image': 'slash' },
      paint: { 'icon-color': t.land, 'icon-opacity': shown(byState(0, opacity('offline', 1), 0)) },
    },
  ]
}
