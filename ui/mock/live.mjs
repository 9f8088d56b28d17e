// The city's small changes, and the event stream that tells of them.
import { points } from './city.mjs'
export * from './city.mjs'

const followers = new Set()
const kept = []

export const bus = {
  last: 0,
  counts: null,
  send(type, payload) {
    this.last += 1
    const text = `id: ${this.last}\nevent: ${type}\ndata: ${JSON.stringify(payload)}\n\n`
    kept.push([this.last, text])
    if (kept.length > 500) kept.shift()
    for (const follow of followers) follow(text)
  },
  follow(stream, after) {
    stream(': open\n\n')
    for (const [id, text] of kept) if (after && id > after) stream(text)
    if (!after)
      for (const [, text] of kept.filter(([, one]) => one.includes('event: note')).slice(-8)) stream(text)
    followers.add(stream)
    return () => followers.delete(stream)
  },
}

const note = (level, text, params, cause = null) =>
  bus.send('note', { level, text, params, cause, at: new Date().toISOString() })
let cursor = 1
const history = []

/** As the server answers: nothing without a cursor. */
export function statesSince(since) {
  const changes = since ? history.filter(([n]) => n > Number(since)).map(([, change]) => change) : []
  return { changes, cursor: String(cursor), reset: false, truncated: false }
}

const at = (list) => list[Math.floor(Math.random() * list.length)]

note('info', 'catalogue_changed', { device: '建安汇聚 3', added: 2, removed: 0 })
note('bad', 'points_offline', { count: 14, where: '城西区' }, '汇聚交换机 CX-07')
note('warn', 'device_offline', { device: '99010200001118000014', points: 12 }, 'device:99010200001118000014')
note('warn', 'device_waiting', { address: '10.21.4.20', name: '示例视讯 NVR-3216' })

setInterval(() => {
  const changes = []
  const dark = points.filter((point) => point.state === 'offline')
  for (const point of dark.length > 30 ? [at(dark), at(dark)] : [at(points)]) {
    point.state = point.state === 'online' ? 'offline' : 'online'
    point.state_since = new Date().toISOString()
    changes.push([point.id, point.state, point.state_since])
  }
  cursor += 1
  for (const change of changes) history.push([cursor, change])
  bus.send('state', { changes, cursor: String(cursor) })
  bus.send('counts', {})
  const [id, state] = changes[0]
  const point = points.find((p) => p.id === id)
  if (state === 'offline') note('bad', 'point_offline', { name: point.name, id }, 'no keep-alive for 180 s')
  else if (Math.random() < 0.3) note('ok', 'point_online', { name: point.name, id })
}, 4000).unref()
