// A fictional city for the screens: the same every time, by seed. All names are invented.

/** @param {number} seed */
export function random(seed) {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const rnd = random(20261122)
const pick = (list) => list[Math.floor(rnd() * list.length)]
const hex = (n) => Array.from({ length: n }, () => Math.floor(rnd() * 16).toString(16)).join('')
export const uuid = () => `0199${hex(4)}-${hex(4)}-7${hex(3)}-8${hex(3)}-${hex(12)}`

export const WEST = 93.05
export const SOUTH = 38.3
export const EAST = 93.33
export const NORTH = 38.46
const lon = (x) => WEST + x * (EAST - WEST)
const lat = (y) => SOUTH + y * (NORTH - SOUTH)

export const city = '安澜市'

// --- divisions, roads, water -----------------------------------------------------------------------------

const DISTRICTS = [
  { code: '990102', name: '河东区', box: [0.5, 0.35, 1, 1] },
  { code: '990103', name: '城西区', box: [0, 0.35, 0.5, 1] },
  { code: '990104', name: '经开区', box: [0, 0, 0.45, 0.35] },
  { code: '990105', name: '滨河新区', box: [0.45, 0, 1, 0.35] },
]
export const divisions = [
  { code: '990100', name: city, parent: null },
  ...DISTRICTS.map(({ code, name }) => ({ code, name, parent: '990100' })),
]

const line = (coordinates, properties) => ({
  type: 'Feature',
  properties,
  geometry: { type: 'LineString', coordinates },
})

function ring([x0, y0, x1, y1]) {
  return [
    [lon(x0), lat(y0)],
    [lon(x1), lat(y0)],
    [lon(x1), lat(y1)],
    [lon(x0), lat(y1)],
    [lon(x0), lat(y0)],
  ]
}

const EW = ['滨河路', '建安街', '文昌路', '长宁街', '望江路', '北环路', '青石街', '南湖路', '经一街']
const NS = [
  '人民路',
  '解放路',
  '安澜大道',
  '河口路',
  '迎宾大道',
  '园区路',
  '西城路',
  '东环路',
  '学府路',
  '纬七路',
  '纬八路',
  '纬九路',
  '纬十路',
]
const roads = []
/** Where two roads meet: points stand here. */
const corners = []
for (let i = 0; i < 9; i++) {
  const y = (i + 0.6) / 9.4
  const main = i % 3 === 1
  const track = []
  for (let s = 0; s <= 40; s++)
    track.push([lon(s / 40), lat(y + 0.012 * Math.sin(s / 6 + i) * (i % 2 ? 1 : -1))])
  roads.push(line(track, { class: main ? 'main' : 'minor', name: EW[i] }))
}
for (let j = 0; j < 13; j++) {
  const x = (j + 0.5) / 13
  const main = j % 4 === 2
  const track = []
  for (let s = 0; s <= 30; s++) track.push([lon(x + 0.006 * Math.sin(s / 5 + j)), lat(s / 30)])
  roads.push(line(track, { class: main ? 'main' : 'minor', name: NS[j] }))
  for (let i = 0; i < 9; i++) {
    const y = (i + 0.6) / 9.4
    const s = x * 40
    const at = y + 0.012 * Math.sin(s / 6 + i) * (i % 2 ? 1 : -1)
    corners.push({ x: x + 0.006 * Math.sin((at * 30) / 5 + j), y: at, name: `${EW[i]}与${NS[j]}` })
  }
}
const bank = (offset) =>
  Array.from({ length: 41 }, (_, s) => [lon(s / 40), lat(0.36 + offset + 0.05 * Math.sin(s / 7))])
const river = {
  type: 'Feature',
  properties: { class: 'river', name: '安澜河' },
  geometry: { type: 'Polygon', coordinates: [[...bank(0.045), ...bank(-0.045).reverse(), bank(0.045)[0]]] },
}
export const base = {
  divisions: DISTRICTS.map(({ code, name, box }) => ({
    type: 'Feature',
    properties: { code, name, level: 'district' },
    geometry: { type: 'Polygon', coordinates: [ring(box)] },
  })),
  roads,
  water: [river],
  places: [
    ...DISTRICTS.map(({ name, box }) => ({
      type: 'Feature',
      properties: { name, class: 'district' },
      geometry: { type: 'Point', coordinates: [lon((box[0] + box[2]) / 2), lat((box[1] + box[3]) / 2)] },
    })),
    ...['安澜站', '人民广场', '市第一医院', '东湖公园', '示例化工园'].map((name, i) => ({
      type: 'Feature',
      properties: { name, class: 'place' },
      geometry: { type: 'Point', coordinates: [lon(0.15 + i * 0.17), lat(0.2 + ((i * 37) % 60) / 100)] },
    })),
  ],
}

// --- organisations ---------------------------------------------------------------------------------------

export const organisations = []
function organisation(name, kind, parent) {
  const node = { id: uuid(), name, kind, parent: parent?.id ?? null, path: [] }
  node.path = [...(parent?.path ?? []), { id: node.id, name }]
  organisations.push(node)
  return node
}
const bureau = organisation('安澜市公安局', 'police', null)
const stations = []
for (const [i, district] of DISTRICTS.entries()) {
  const branch = organisation(`${district.name.replace(/区$/, '')}分局`, 'police', bureau)
  const names = [
    ['建安', '河口', '望江', '文昌'],
    ['西城', '长宁', '车站', '青石'],
    ['园区', '港口', '南湖'],
    ['滨河', '学府', '新城'],
  ][i]
  for (const name of names) stations.push({ ...organisation(`${name}派出所`, 'police', branch), district })
}
const transport = organisation('市交通运输局', 'transport', null)
const emergency = organisation('市应急管理局', 'emergency', null)
organisation('运维单位甲', 'contractor', null)
organisation('运维单位乙', 'contractor', null)
const upkeep = organisations.filter((o) => o.kind === 'contractor')

// --- points ----------------------------------------------------------------------------------------------

const SIDES = ['南枪', '北枪', '东向', '西向', '球机', '东南角', '西北角', '全景']
const KINDS = [
  ['camera', 1098],
  ['checkpoint', 61],
  ['alarm_point', 25],
  ['sensor', 12],
  ['watchtower', 8],
]
const CODE = { camera: '131', checkpoint: '131', alarm_point: '134', sensor: '138', watchtower: '132' }
export const points = []
const STARTED = Date.now()
for (const [kind, amount] of KINDS) {
  for (let i = 0; i < amount; i++) {
    const corner = pick(corners)
    const spread = rnd() < 0.55 ? 0.004 : 0.03
    const x = Math.min(0.995, Math.max(0.005, corner.x + (rnd() - 0.5) * spread))
    const y = Math.min(0.995, Math.max(0.005, corner.y + (rnd() - 0.5) * spread))
    const district = DISTRICTS.find(({ box }) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3])
    const owner =
      kind === 'sensor'
        ? emergency
        : kind === 'checkpoint' && rnd() < 0.4
          ? transport
          : pick(stations.filter((s) => s.district === district))
    const side =
      kind === 'camera'
        ? pick(SIDES)
        : { checkpoint: '卡口', alarm_point: '一键报警柱', sensor: '气体探测器', watchtower: '瞭望' }[kind]
    const dice = rnd()
    const state = dice < 0.955 ? 'online' : dice < 0.985 ? 'offline' : 'unknown'
    points.push({
      id: uuid(),
      ix: points.length,
      code: `${district.code}0001${CODE[kind]}${String(points.length + 1).padStart(7, '0')}`,
      name: `${corner.name}口 ${side}`,
      kind,
      class: kind === 'camera' ? (rnd() < 0.36 ? 1 : rnd() < 0.65 ? 2 : 3) : kind === 'checkpoint' ? 1 : 9,
      longitude: lon(x),
      latitude: lat(y),
      state,
      state_since: new Date(STARTED - rnd() * 36 * 3600e3).toISOString(),
      ptz: side === '球机' || kind === 'watchtower',
      camera_type: { 球机: 'dome', 全景: 'panorama' }[side] ?? (kind === 'camera' ? 'bullet' : null),
      lifecycle: 'in_service',
      division: { code: district.code, name: district.name },
      organisation: { id: owner.id, name: owner.name, path: owner.path },
      owner_role_names: ['公安局', pick(upkeep).name],
      streams: kind === 'camera' || kind === 'checkpoint' || kind === 'watchtower' ? ['main', 'sub'] : [],
      address: `${district.name}${corner.name}交叉口`,
      recording: kind !== 'sensor' && kind !== 'alarm_point' && state === 'online',
      heading: kind === 'camera' || kind === 'checkpoint' ? Math.floor(rnd() * 360) : null,
      fov: kind === 'camera' ? 60 : kind === 'checkpoint' ? 35 : null,
    })
  }
}
export const byId = new Map(points.map((point) => [point.id, point]))

export function within(organisationId) {
  const ids = new Set([organisationId])
  for (const o of organisations) if (o.parent && ids.has(o.parent)) ids.add(o.id)
  return ids
}

// --- devices ---------------------------------------------------------------------------------------------

const VENDORS = [
  ['示例视讯', 'NVR-3216', 'V4.61'],
  ['安和科技', 'IPC-D2480', '2.8.10'],
  ['北辰', 'GW-900', '1.20'],
]
export const policies = () => ({
  transport: 'tcp-passive',
  charset: 'auto',
  keepalive_s: 60,
  catalogue_interval_s: 3600,
  audio: true,
})
export const devices = Array.from({ length: 46 }, (_, i) => {
  const [vendor, model, version] = pick(VENDORS)
  const waiting = i < 6
  return {
    id: uuid(),
    gateway: i % 5 === 4 ? 'onvif' : 'gb28181',
    device_id: `990102000011${i % 4 ? '18' : '00'}${String(i + 1).padStart(6, '0')}`,
    name: waiting ? '' : `${pick(stations).name.replace('派出所', '')}汇聚 ${i}`,
    vendor: i === 3 ? null : vendor,
    model: i === 3 ? null : model,
    version,
    transport: i % 3 ? 'tcp' : 'udp',
    address: `10.21.${4 + (i % 9)}.${20 + i}:5060`,
    status: waiting ? 'waiting' : 'adopted',
    state: waiting ? 'unknown' : i % 13 === 0 ? 'offline' : 'online',
    first_seen: new Date(STARTED - (waiting ? i * 340e3 : 40 * 86400e3)).toISOString(),
    last_seen: new Date(STARTED - i * 900).toISOString(),
    point_count: waiting ? [16, 1, 4, 32, 1, 8][i] : 4 + Math.floor(rnd() * 28),
    policies: policies(),
  }
})
