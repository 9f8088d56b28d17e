import type { Map as GlMap } from 'maplibre-gl'
import { createContext, useContext } from 'react'

export const MapContext = createContext<GlMap | null>(null)

/** The loaded map; only for components under `MapCanvas`. */
export function useMap(): GlMap {
  const map = useContext(MapContext)
  if (!map) throw new Error('useMap outside MapCanvas')
  return map
}

/** Layers are added below one of these, so that the order of components does not matter. */
export type Slot = 'slot-base' | 'slot-areas' | 'slot-points' | 'slot-top'
export const SLOTS: readonly Slot[] = ['slot-base', 'slot-areas', 'slot-points', 'slot-top']

/** Takes layers and their sources away again, unless the whole map is gone already. */
export function takeAway(map: GlMap, layers: readonly string[], sources: readonly string[]): void {
  if (map._removed) return
  for (const id of layers) if (map.getLayer(id)) map.removeLayer(id)
  for (const id of sources) if (map.getSource(id)) map.removeSource(id)
}
