import { createRequire } from 'node:module'
import GeoJSONVT from 'geojson-vt'
import { base, points } from './city.mjs'

const vtpbf = createRequire(import.meta.url)('vt-pbf')
const EXTENT = 4096
const CELLS = 5
/** From this zoom on every point stands for itself. */
const ALONE_FROM = 14

const cut = (features) =>
  new GeoJSONVT(
    { type: 'FeatureCollection', features },
    { maxZoom: 16, extent: EXTENT, buffer: 128, tolerance: 2 },
  )
const indexes = Object.fromEntries(Object.entries(base).map(([layer, features]) => [layer, cut(features)]))

export function baseTile(z, x, y) {
  const layers = {}
  for (const [layer, index] of Object.entries(indexes)) {
    const tile = index.getTile(z, x, y)
    if (tile) layers[layer] = tile
  }
  return Buffer.from(vtpbf.fromGeojsonVt(layers, { version: 2, extent: EXTENT }))
}

function world(point, z) {
  const n = 2 ** z
  const sin = Math.sin((point.latitude * Math.PI) / 180)
  return [((point.longitude + 180) / 360) * n, (0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI)) * n]
}

export function pointsTile(z, x, y, wanted) {
  const cells = new Map()
  for (const point of points) {
    if (!wanted(point)) continue
    const [px, py] = world(point, z)
    if (Math.floor(px) !== x || Math.floor(py) !== y) continue
    const at = [Math.round((px - x) * EXTENT), Math.round((py - y) * EXTENT)]
    const key = z >= ALONE_FROM ? point.id : `${Math.floor((px - x) * CELLS)}/${Math.floor((py - y) * CELLS)}`
    const cell = cells.get(key) ?? []
    cell.push({ point, at })
    cells.set(key, cell)
  }
  const alone = []
  const together = []
  for (const [key, cell] of cells) {
    if (cell.length <= 3) {
      for (const { point, at } of cell) {
        const tags = { pid: point.id, kind: point.kind, class: point.class, state: point.state, ix: point.ix }
        if (point.heading !== null) Object.assign(tags, { heading: point.heading, fov: point.fov })
        alone.push({ type: 1, geometry: [at], tags })
      }
    } else {
      const state = (name) => cell.filter(({ point }) => point.state === name).length
      const mean = (i) => Math.round(cell.reduce((sum, { at }) => sum + at[i], 0) / cell.length)
      together.push({
        type: 1,
        geometry: [[mean(0), mean(1)]],
        tags: {
          cid: `${z}/${x}/${y}/${key}`,
          count: cell.length,
          n_online: state('online'),
          n_offline: state('offline'),
          n_unknown: state('unknown'),
        },
      })
    }
  }
  const layer = (features) => ({ features, numPoints: features.length, z, x, y })
  return Buffer.from(
    vtpbf.fromGeojsonVt({ points: layer(alone), clusters: layer(together) }, { version: 2, extent: EXTENT }),
  )
}
