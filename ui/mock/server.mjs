// A stand-in for the platform while pages are built: answers /api/v1 from a made-up city. Not part of the product.
// Sign in with any name and the password `anwang`; the name `viewer` may do little, `nobody` sees an empty city.
import { createServer } from 'node:http'
import {
  bus,
  byId,
  city,
  devices,
  divisions,
  EAST,
  NORTH,
  organisations,
  points,
  SOUTH,
  statesSince,
  uuid,
  WEST,
  within,
} from './live.mjs'
import { baseTile, pointsTile } from './tiles.mjs'
import { checkCsv } from './importing.mjs'
import { mediaRoutes, serveLive } from './media.mjs'
import { caseRoutes, CUSTOMS } from './cases.mjs'
import { dutyRoutes } from './duties.mjs'
import { recordingRoutes } from './recordings.mjs'
import { find, may, missing, page, Refusal, Routes } from './routes.mjs'

const PORT = Number(process.env.PORT ?? 8090)
const sessions = new Map()
const imports = new Map()
const layouts = new Map()
const iso = (ms) => new Date(ms).toISOString()

// --- answers ---------------------------------------------------------------------------------------------

const list = (q, name) => (q.get(name) ? q.get(name).split(',') : null)

function chosen(q) {
  const kinds = list(q, 'kind') ?? list(q, 'kinds')
  const classes = list(q, 'class') ?? list(q, 'classes')
  const states = list(q, 'state')
  const owners = list(q, 'owner') ?? list(q, 'owners')
  const under = owners ? new Set(owners.flatMap((id) => [...within(id)])) : null
  const box = q.get('bbox')?.split(',').map(Number)
  const text = q.get('q')?.toLowerCase()
  return (p) =>
    (!kinds || kinds.includes(p.kind)) &&
    (!classes || classes.includes(String(p.class))) &&
    (!states || states.includes(p.state)) &&
    (!under || under.has(p.organisation.id)) &&
    (!q.get('organisation') || within(q.get('organisation')).has(p.organisation.id)) &&
    (!box ||
      (p.longitude >= box[0] && p.latitude >= box[1] && p.longitude <= box[2] && p.latitude <= box[3])) &&
    (!text || p.name.toLowerCase().includes(text) || p.code.includes(text))
}

function tally(items) {
  const out = { online: 0, offline: 0, unknown: 0, total: items.length }
  for (const p of items) out[p.state] += 1
  return out
}

function counts() {
  const group = (key) =>
    Object.fromEntries(
      [...new Set(points.map(key))].map((k) => [k, tally(points.filter((p) => key(p) === k))]),
    )
  return {
    ...tally(points),
    kinds: group((p) => p.kind),
    classes: group((p) => p.class),
    owners: organisations
      .filter(
        (o) => o.path.length === 2 || (o.path.length === 1 && o.kind !== 'police' && o.kind !== 'contractor'),
      )
      .map((o) => ({
        id: o.id,
        name: o.name,
        counts: tally(points.filter((p) => within(o.id).has(p.organisation.id))),
      })),
    waiting_devices: devices.filter((d) => d.status === 'waiting').length,
  }
}

const FILE = [
  ['code', '点位编码', (p) => p.code],
  ['name', '点位名称', (p) => p.name],
  ['camera_type', '摄像机类型', (p) => p.camera_type],
  ['function', '功能类型', () => '治安'],
  ['vendor', '设备厂商', () => '示例视讯'],
  ['model', '设备型号', () => 'IPC-D2480'],
  ['ip', 'IPv4 地址', (p) => `10.21.4.${(p.ix % 250) + 1}`],
  ['mac', 'MAC 地址', (p) => `02:00:5e:00:00:${(p.ix % 256).toString(16).padStart(2, '0')}`],
  ['height', '安装高度（米）', () => 6.5],
  ['pole', '立杆编号', (p) => `LG-${1000 + p.ix}`],
  ['power', '供电方式', () => '市电'],
  ['network', '接入网络', () => '视频专网'],
  ['retention', '录像保存天数', () => 90],
  ['installed', '安装时间', () => '2024-06-18'],
  ['address', '安装地址', (p) => p.address],
  ['police_phone', '辖区派出所电话', () => null],
]

const detail = (p) => ({
  ...p,
  file: FILE.map(([key, label, value]) => ({ key, label, value: value(p) })),
  owners: {
    paid: { id: organisations[0].id, name: '安澜市公安局' },
    owns: { id: p.organisation.id, name: p.organisation.name },
    maintains: { id: 'm', name: p.owner_role_names[1] },
    may_see: [{ id: 'e', name: '市应急管理局' }],
  },
})

function evidence(p) {
  const now = Date.now()
  const good = p.state === 'online'
  const old = p.state === 'unknown' ? null : (now - Date.parse(p.state_since)) / 1000 + 40
  const item = (kind, seconds, detail, ok = good) => {
    const age_s = good ? seconds : old
    return {
      kind,
      age_s,
      at: age_s === null ? null : iso(now - age_s * 1000),
      source: 'gb28181',
      detail,
      ok: ok && age_s !== null,
    }
  }
  return {
    state: p.state,
    since: p.state === 'unknown' ? null : p.state_since,
    items: [
      item('registration', 1840, 'REGISTER 200, expires 3600'),
      item('keepalive', 12, 'Keepalive OK'),
      item('catalogue', 2200, 'Status ON'),
      item('packet', 0.3, 'TCP passive, loss 0.0 %'),
      item('picture', 0.4, '1080p H.264'),
      item('recording', 2, good ? 'continuous since 00:00' : 'stopped'),
    ],
    verdict: good
      ? 'Keep-alives and picture are fresh'
      : p.state === 'offline'
        ? 'No keep-alive for three periods and no packet since'
        : 'Nothing has been received since the platform started',
  }
}

function history(p, hours) {
  const end = Date.now()
  const start = end - hours * 3600e3
  const spans = []
  let at = start
  let seed = p.ix * 7919 + 3
  const next = () => ((seed = (seed * 16807) % 2147483647), seed / 2147483647)
  while (at < end) {
    const up = 2 * 3600e3 + next() * 14 * 3600e3
    spans.push({ start: iso(at), end: iso(Math.min(at + up, end)), state: 'online' })
    at += up
    if (at >= end) break
    const down = 4 * 60e3 + next() * 30 * 60e3
    spans.push({
      start: iso(at),
      end: iso(Math.min(at + down, end)),
      state: next() < 0.8 ? 'offline' : 'unknown',
    })
    at += down
  }
  const since = Date.parse(p.state_since)
  if (p.state !== 'online' && since > start) {
    const kept = spans.filter((s) => Date.parse(s.start) < since)
    if (kept.length) kept.at(-1).end = iso(since)
    kept.push({ start: iso(since), end: iso(end), state: p.state })
    return { spans: kept }
  }
  return { spans }
}

const DAY_MS = 86400e3
const midnight = (at) => Math.floor((at + 8 * 3600e3) / DAY_MS) * DAY_MS - 8 * 3600e3

/** States as they were written down: a device is lost once on some days, and a fortnight ago nobody watched. */
function written(seed, q) {
  const now = Date.now()
  const from = q.get('from') ? Date.parse(q.get('from')) : now - 7 * DAY_MS
  const to = Math.min(now, q.get('to') ? Date.parse(q.get('to')) : now)
  const spans = []
  const add = (start, end, state, reason) => {
    const a = Math.max(from, start)
    const b = Math.min(to, end)
    if (b > a) spans.push({ start: iso(a), end: b >= now ? null : iso(b), state, reason, cause: '' })
  }
  for (let day = midnight(from); day < to; day += DAY_MS) {
    const dice = (seed * 31 + Math.floor(day / DAY_MS) * 17) % 7
    if (now - day > 14 * DAY_MS) add(day, day + DAY_MS, 'unknown', '')
    else if (dice > 2) add(day, day + DAY_MS, 'online', 'device_heard')
    else {
      const lost = day + (3 + dice * 5) * 3600e3
      const back = lost + (5 + dice * 40) * 60e3
      add(day, lost, 'online', 'device_heard')
      add(lost, back, 'offline', 'device_silent')
      add(back, day + DAY_MS, 'online', 'device_heard')
    }
  }
  return { spans, next: null }
}

function online(seed, q) {
  const days = new Map()
  for (const { start, end, state } of written(seed, q).spans) {
    const day = new Date(Date.parse(start) + 8 * 3600e3).toISOString().slice(0, 10)
    const one = days.get(day) ?? { day, online_s: 0, offline_s: 0, unknown_s: 0 }
    one[`${state}_s`] += ((end === null ? Date.now() : Date.parse(end)) - Date.parse(start)) / 1000
    days.set(day, one)
  }
  return { days: [...days.values()] }
}

function still(p) {
  const s = p.ix
  const car = 260 + ((Date.now() / 40 + s * 90) % 900)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1280 720" width="1280" height="720"><defs><linearGradient id="s" x2="0" y2="1"><stop stop-color="#aebcc6"/><stop offset="1" stop-color="#d8dcd8"/></linearGradient></defs><rect width="1280" height="720" fill="url(#s)"/><path d="M0 300h${180 + (s % 90)}v-${90 + (s % 60)}h160v90h220v-140h190v170h530v420H0z" fill="#7c878c"/><path d="M0 330h1280v390H0z" fill="#8f9a86"/><path d="M470 330h150L1180 720H-60z" fill="#5b6064"/><path d="M543 330h6l44 390h-60z" fill="#cfd3d0" opacity=".8"/><rect x="${car}" y="${380 + (s % 5) * 30}" width="120" height="62" rx="12" fill="#f1f2f1"/><rect x="${car + 14}" y="${386 + (s % 5) * 30}" width="92" height="24" rx="8" fill="#34414a"/><text x="24" y="44" font-size="26" fill="#fff" stroke="#000" stroke-width=".6" font-family="monospace">${new Date(Date.now() + 8 * 3600e3).toISOString().replace('T', ' ').slice(0, 19)}</text><text x="24" y="696" font-size="26" fill="#fff" stroke="#000" stroke-width=".6" font-family="sans-serif">${p.name}</text></svg>`
}

const users = [
  ['admin', '周宁', 'administrator'],
  ['wang', '王', 'operator'],
  ['li.qing', '李青', 'operator'],
  ['sun', '孙', 'operator'],
  ['viewer', '陈', 'viewer'],
].map(([username, display_name, role], i) => ({
  id: uuid(),
  username,
  display_name,
  role,
  organisation: { id: organisations[i].id, name: organisations[i].name },
  disabled: i === 3,
  last_seen: i === 4 ? null : iso(Date.now() - i * 5400e3),
}))

const health = () => ({
  status: 'degraded',
  name: 'anwang',
  detail: null,
  causes: [
    {
      status: 'ok',
      name: 'stores',
      detail: null,
      causes: [
        { status: 'ok', name: 'state', detail: 'SQLite, 84 MB, WAL 1.2 MB', causes: [] },
        { status: 'ok', name: 'series', detail: 'p50 1.8 ms', causes: [] },
        { status: 'ok', name: 'objects', detail: '61 % of 8.0 TB used', causes: [] },
      ],
    },
    {
      status: 'degraded',
      name: 'access',
      detail: '14 devices behind one switch do not answer',
      causes: [
        { status: 'ok', name: 'gb28181', detail: '40 devices, SIP 5060 UDP+TCP', causes: [] },
        {
          status: 'degraded',
          name: '10.21.7.0/24',
          detail: '14 of 14 devices silent since 22:39:10; same network, same second',
          causes: [{ status: 'down', name: 'switch CX-07', detail: 'no answer to 3 pings', causes: [] }],
        },
      ],
    },
    { status: 'ok', name: 'media', detail: '212 streams in 4 children, 0 restarts', causes: [] },
    { status: 'ok', name: 'time', detail: 'offset 3 ms to ntp1', causes: [] },
  ],
})

const settings = {
  groups: [
    {
      name: 'http',
      sentence: 'Where browsers and interfaces reach the platform',
      settings: [
        [
          'http.listen',
          'Address and port of API, UI, live and playback',
          '[::]:8443',
          '[::]:8443',
          'default',
          false,
        ],
        [
          'http.tls.cert',
          'Certificate file; self-signed when empty',
          null,
          '/etc/anwang/tls.pem',
          'file',
          false,
        ],
        ['http.session_hours', 'Hours until a browser session ends', 12, 12, 'default', false],
      ],
    },
    {
      name: 'sip',
      sentence: 'How GB/T 28181 devices register',
      settings: [
        ['sip.listen', 'Address and port, UDP and TCP', '[::]:5060', '0.0.0.0:5060', 'environment', false],
        ['sip.domain', 'Our 10-digit domain', '9901000000', '9901000000', 'file', false],
        ['sip.password', 'What devices must know to register', null, '••••••', 'file', true],
        ['sip.keepalive_s', 'Seconds between keep-alives we ask of devices', 60, 60, 'default', false],
      ],
    },
    {
      name: 'media',
      sentence: 'Streams and recording',
      settings: [
        ['media.rtp_ports', 'Range of RTP ports', '30000-32000', '30000-32000', 'default', false],
        ['media.children', 'Remux processes', 2, 4, 'file', false],
      ],
    },
  ].map((g) => ({
    ...g,
    settings: g.settings.map(([key, sentence, def, value, source, secret]) => ({
      key,
      sentence,
      default: def,
      value,
      source,
      secret,
    })),
  })),
}

const refusals = [
  ['10.21.9.77:5060', '99010200001118000077', 'wrong password', 1284, 40],
  ['10.21.4.19:5060', '340200000013', 'device id is not 20 digits', 212, 600],
  ['10.30.0.8:40112', '', 'malformed SIP: header without colon', 37, 4000],
  ['10.21.6.5:5060', '34020000001110000005', 'domain 3402000000 is not ours', 9, 20000],
].map(([peer, device, reason, count, ago]) => ({
  peer,
  device,
  reason,
  count,
  first: iso(Date.now() - 86400e3),
  last: iso(Date.now() - ago * 1000),
  sample: `REGISTER sip:${device}@9901000000 SIP/2.0`,
}))

function sip(device, n) {
  const keep = n % 3 !== 2
  const outgoing = n % 2 === 1
  const method = keep ? 'MESSAGE' : 'REGISTER'
  const head = outgoing ? 'SIP/2.0 200 OK' : `${method} sip:99010000002000000001@9901000000 SIP/2.0`
  const body =
    keep && !outgoing
      ? `<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>${n}</SN>\r\n<DeviceID>${device.device_id}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n`
      : ''
  return {
    at: iso(Date.now()),
    outgoing,
    transport: device.transport,
    local: '10.21.0.2:5060',
    remote: device.address,
    text: `${head}\r\nVia: SIP/2.0/TCP ${device.address};rport;branch=z9hG4bK${1000 + n}\r\nFrom: <sip:${device.device_id}@9901000000>;tag=${n}\r\nTo: <sip:${device.device_id}@9901000000>\r\nCall-ID: ${n}@10.21\r\nCSeq: ${n} ${method}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  }
}

// --- routes ----------------------------------------------------------------------------------------------

const routes = new Routes()
const { on } = routes

const FOR_VIEWERS = ['own_account', 'read_points', 'read_timeline', 'view_live', 'view_playback']
const ACTIONS = [
  ...FOR_VIEWERS,
  'read_trace',
  'snapshot',
  'export',
  'ptz',
  'hold',
  'unmask',
  'edit_masks',
  'import_points',
  'edit_points',
  'adopt',
  'read_system',
  'manage_users',
  'read_ledger',
  'administer',
  'open_purpose',
  'ask_approval',
  'approve',
  'read_duties',
  'manage_duties',
  'read_requests',
  'handle_requests',
]
on(
  'POST',
  '/session',
  ({ json, set }) => {
    if (json.password !== 'anwang')
      throw new Refusal(401, 'unauthenticated', 'User name or password is wrong')
    const known = users.find((u) => u.username === json.username)
    const all = json.username !== 'viewer'
    const token = uuid()
    sessions.set(token, {
      user: known ?? {
        id: uuid(),
        username: json.username,
        display_name: json.username,
        role: 'operator',
        organisation: { id: organisations[0].id, name: '指挥中心' },
      },
      can: Object.fromEntries(ACTIONS.map((k) => [k, all || FOR_VIEWERS.includes(k)])),
      expires_at: iso(Date.now() + 12 * 3600e3),
      city,
      purpose: null,
      customs: CUSTOMS,
    })
    set['Set-Cookie'] = `anwang_mock=${token}; HttpOnly; Path=/; SameSite=Strict`
    return { token, expires_at: iso(Date.now() + 12 * 3600e3) }
  },
  true,
)
on('GET', '/session', ({ session }) => session)
on('PUT', '/session/password', ({ json }) => {
  if (json.old !== 'anwang')
    throw new Refusal(
      403,
      'denied',
      'the old password is wrong',
      'if you forgot it, an administrator can set a new one',
    )
})
on('POST', '/devices/:id/sync', ({ params }) => void find(devices, params.id))
on('DELETE', '/session', ({ token }) => (sessions.delete(token), undefined))
on(
  'GET',
  '/setup/:token',
  ({ params }) => ({ valid: params.token === 'first', expires_at: null, city }),
  true,
)
on('POST', '/setup/:token', () => undefined, true)

on('GET', '/map', () => ({
  bounds: [WEST, SOUTH, EAST, NORTH],
  center: [(WEST + EAST) / 2, (SOUTH + NORTH) / 2],
  zoom: 12,
  style: null,
  base: 'builtin',
}))
on('GET', '/tiles/base/:z/:x/:y.mvt', ({ params: { z, x, y } }) => ({
  file: baseTile(+z, +x, +y),
  type: 'application/vnd.mapbox-vector-tile',
}))
on('GET', '/tiles/points/:z/:x/:y.mvt', ({ params: { z, x, y }, q, session }) => ({
  file: pointsTile(+z, +x, +y, session.user.username === 'nobody' ? () => false : chosen(q)),
  type: 'application/vnd.mapbox-vector-tile',
}))
on('GET', '/states', ({ q }) => statesSince(q.get('since')))
on('GET', '/positions', () => ({ items: [], truncated: false }))
on('GET', '/counts', counts)
on('GET', '/points', ({ q }) => page(points.filter(chosen(q)), q))
on('GET', '/points.csv', () => ({
  file: Buffer.from(
    `﻿编码,名称,类型,类别,经度,纬度\r\n${points.map((p) => [p.code, p.name, p.kind, p.class, p.longitude, p.latitude].join(',')).join('\r\n')}\r\n`,
  ),
  type: 'text/csv; charset=utf-8',
  name: 'points.csv',
}))
const point = (params) =>
  byId.get(params.id) ??
  (() => {
    throw missing()
  })()
on('GET', '/points/:id', ({ params }) => detail(point(params)))
on('GET', '/points/:id/evidence', ({ params }) => evidence(point(params)))
on('GET', '/points/:id/history', ({ params, q }) =>
  q.get('from')
    ? written(point(params).ix, q)
    : { ...history(point(params), Number(q.get('hours') ?? 24)), next: null },
)
on('GET', '/points/:id/online', ({ params, q }) => online(point(params).ix, q))
on('GET', '/devices/:id/history', ({ params, q }) => written(devices.indexOf(find(devices, params.id)), q))
on('GET', '/devices/:id/online', ({ params, q }) => online(devices.indexOf(find(devices, params.id)), q))
const masks = new Map()
let masksVersion = 0
const masked = (id) => {
  if (!masks.has(id)) masks.set(id, { items: [], next: null, version: 'v0', preset: null })
  return masks.get(id)
}
on('GET', '/points/:id/masks', ({ params }) => masked(point(params).id))
on('PUT', '/points/:id/masks', ({ params, json, session }) => {
  may(session, 'edit_masks')
  const { id } = point(params)
  if (json.version !== masked(id).version)
    throw new Refusal(409, 'conflict', 'these masks were changed by somebody else', 'load them again')
  const who = { changed_at: iso(Date.now()), changed_by: session.user.username }
  masks.set(id, {
    ...masked(id),
    version: `v${++masksVersion}`,
    items: json.items.map((one) => ({
      ...one,
      id: one.id ?? uuid(),
      covers_now: true,
      created_at: who.changed_at,
      created_by: who.changed_by,
      ...who,
    })),
  })
  return masked(id)
})
on('GET', '/points/:id/unmasked', ({ session }) => {
  may(session, 'unmask')
  throw new Refusal(
    403,
    'approval_needed',
    'a second person must approve this',
    'ask for approval of these points and this time',
  )
})
on('GET', '/points/:id/snapshot', ({ params }) => {
  const p = point(params)
  if (p.state !== 'online' || p.streams.length === 0) throw missing()
  return { file: Buffer.from(still(p)), type: 'image/svg+xml' }
})
on('GET', '/organisations', ({ q }) => {
  const parent = q.get('parent')
  return page(
    organisations
      .filter((o) => o.parent === parent)
      .map((o) => {
        const t = tally(points.filter((p) => within(o.id).has(p.organisation.id)))
        return {
          id: o.id,
          name: o.name,
          kind: o.kind,
          parent: o.parent,
          children_count: organisations.filter((c) => c.parent === o.id).length,
          points: { total: t.total, online: t.online },
        }
      }),
    q,
    500,
  )
})
on('GET', '/divisions', ({ q }) => page(divisions, q, 500))
on('GET', '/search', ({ q }) => {
  const text = (q.get('q') ?? '').toLowerCase()
  const match = (...words) => words.some((w) => w?.toLowerCase().includes(text))
  return {
    items: [
      ...points
        .filter((p) => match(p.name, p.code))
        .slice(0, 8)
        .map((p) => ({
          type: 'point',
          id: p.id,
          title: p.name,
          subtitle: `${p.code} · ${p.organisation.name}`,
          state: p.state,
        })),
      ...organisations
        .filter((o) => match(o.name))
        .slice(0, 5)
        .map((o) => ({
          type: 'organisation',
          id: o.id,
          title: o.name,
          subtitle: o.path.map((n) => n.name).join(' › '),
        })),
      ...devices
        .filter((d) => match(d.name, d.device_id))
        .slice(0, 5)
        .map((d) => ({
          type: 'device',
          id: d.id,
          title: d.name || d.device_id,
          subtitle: `${d.gateway} · ${d.address}`,
        })),
      ...[
        ['devices?tab=import', '导入点位'],
        ['system?tab=health', '系统健康'],
        ['playback', '录像回放'],
      ]
        .filter(([, n]) => match(n))
        .map(([id, title]) => ({ type: 'page', id, title, subtitle: null })),
    ],
  }
})

on('GET', '/devices', ({ q }) => {
  const text = q.get('q')?.toLowerCase()
  const status = q.get('status')
  return page(
    devices.filter(
      (d) =>
        (!status || d.status === status) &&
        (!text || `${d.name}${d.device_id}${d.vendor}${d.address}`.toLowerCase().includes(text)),
    ),
    q,
    50,
  )
})
on('GET', '/devices/:id', ({ params }) => {
  const d = find(devices, params.id)
  return {
    ...d,
    organisation: d.status === 'waiting' ? null : { id: organisations[1].id, name: organisations[1].name },
    evidence: evidence({ state: d.state, state_since: d.first_seen }),
  }
})
on('POST', '/devices/:id/adopt', ({ params, json, session }) => {
  may(session, 'adopt')
  const d = find(devices, params.id)
  Object.assign(d, { status: 'adopted', state: 'online', name: json.name || d.device_id })
  bus.send('device', { waiting: counts().waiting_devices })
  return d
})
on('POST', '/devices/:id/refuse', ({ params, session }) => {
  may(session, 'adopt')
  const d = find(devices, params.id)
  d.status = 'refused'
  bus.send('device', { waiting: counts().waiting_devices })
  return d
})
on('PATCH', '/devices/:id/policies', ({ params, json }) =>
  Object.assign(find(devices, params.id).policies, json),
)
on('GET', '/devices/:id/messages', ({ params, stream, q }) => {
  const d = find(devices, params.id)
  const text = q.get('q')?.toLowerCase()
  let n = 0
  const tell = () => {
    const message = sip(d, n++)
    if (!text || message.text.toLowerCase().includes(text))
      stream(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
  }
  for (let i = 0; i < 12; i++) tell()
  return setInterval(tell, 1500)
})
on('GET', '/devices/:id/messages.pcap', () => ({
  file: Buffer.from('d4c3b2a1020004000000000000000000ffff000065000000', 'hex'),
  type: 'application/vnd.tcpdump.pcap',
  name: 'sip.pcap',
}))
on('GET', '/refusals', ({ q }) => page(refusals, q))

on('POST', '/imports', ({ raw, session, q }) => {
  may(session, 'import_points')
  const job = {
    id: uuid(),
    kind: 'points',
    filename: q.get('filename') ?? '',
    reason: '',
    skipped: 0,
    status: 'staged',
    rows: 0,
    done: 0,
    faults: [],
    fault_count: 0,
    preview: null,
  }
  imports.set(job.id, job)
  checkCsv(raw.toString('utf8'), job, points, (one) => bus.send('job', { import: one.id }))
  return { status: 202, id: job.id }
})
const job = (id) =>
  imports.get(id) ??
  (() => {
    throw missing()
  })()
on('GET', '/imports/:id', ({ params }) => job(params.id))
on('POST', '/imports/:id/publish', ({ params, body }) => {
  const one = job(params.id)
  if (body?.skip_faulty) one.skipped = new Set(one.faults.map((f) => f.row)).size
  one.status = 'publishing'
  setTimeout(() => (one.status = 'published'), 1200)
  return one
})
on(
  'DELETE',
  '/imports/:id',
  ({ params }) => Object.assign(job(params.id), { status: 'cancelled' }) && undefined,
)

on('GET', '/users', ({ q, session }) => (may(session, 'manage_users'), page(users, q)))
on('POST', '/users', ({ json }) => {
  if (users.some((u) => u.username === json.username))
    throw new Refusal(409, 'conflict', `The name “${json.username}” is taken`, 'Choose another user name.')
  const organisation = organisations.find((o) => o.id === json.organisation)
  const user = {
    id: uuid(),
    disabled: false,
    last_seen: null,
    ...json,
    organisation: { id: organisation.id, name: organisation.name },
  }
  delete user.password
  users.push(user)
  return user
})
on('PATCH', '/users/:id', ({ params, json }) => {
  const user = find(users, params.id)
  const organisation = organisations.find((o) => o.id === json.organisation)
  const { password: _, ...rest } = json
  return Object.assign(
    user,
    rest,
    organisation
      ? { organisation: { id: organisation.id, name: organisation.name } }
      : { organisation: user.organisation },
  )
})
on('DELETE', '/users/:id', ({ params }) => void users.splice(users.indexOf(find(users, params.id)), 1))
on('GET', '/health', health)
on('GET', '/settings', ({ session }) => (may(session, 'administer'), settings))
dutyRoutes(on, organisations, uuid)
mediaRoutes(on, { layouts, held: recordingRoutes(on, points, uuid), checkClip: caseRoutes(on, points, uuid) })
on('GET', '/events', ({ stream, q, last }) => bus.follow(stream, Number(last ?? q.get('after') ?? 0)))
bus.counts = counts

// --- the listener ----------------------------------------------------------------------------------------

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock')
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const raw = Buffer.concat(chunks)
  const set = {}
  const answer = (status, value, type = 'application/json') => {
    response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store', ...set })
    response.end(value)
  }
  try {
    const path = url.pathname.replace(/^\/api\/v1/, '')
    const token = /anwang_mock=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
    const session = sessions.get(token)
    const { handler, params, open } = routes.match(request.method, path)
    if (!open && !session) throw new Refusal(401, 'unauthenticated', 'Sign in first')
    const stream = (text) => {
      if (!response.headersSent)
        response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
      response.write(text)
    }
    const json = raw.length && request.headers['content-type']?.includes('json') ? JSON.parse(raw) : {}
    const value = handler({
      params,
      q: url.searchParams,
      json,
      raw,
      session,
      token,
      set,
      stream,
      last: request.headers['last-event-id'],
    })
    if (path.endsWith('/messages') || path === '/events') {
      request.socket.on('close', () => (typeof value === 'function' ? value() : clearInterval(value)))
      return
    }
    if (value?.write) {
      response.writeHead(200, { 'Cache-Control': 'no-store', ...value.headers })
      await value.write(response)
    } else if (value === undefined) answer(204)
    else if (Buffer.isBuffer(value.file)) {
      if (value.name) set['Content-Disposition'] = `attachment; filename="${value.name}"`
      answer(200, value.file, value.type)
    } else answer(value.status > 99 ? value.status : 200, JSON.stringify(value))
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error)
    const { status = 500, kind = 'internal', reason = String(error), hint = null } = error
    answer(status, JSON.stringify({ kind, reason, hint }))
  }
})
serveLive(server, sessions)
server.listen(PORT, '127.0.0.1', () => console.log(`mock of ${city}: http://127.0.0.1:${PORT}/api/v1`))
