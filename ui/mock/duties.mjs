// Video systems and their filing with the police.
import { find, may, page } from './routes.mjs'

const DAY = 86_400e3
const day = (ms) => new Date(ms + 8 * 3600e3).toISOString().slice(0, 10)
const filing = (of) => ({
  state: 'due',
  due_on: null,
  days_left: null,
  receipt_no: '',
  filed_on: null,
  changes: [],
  ...of,
})

/** Routes over a system of each state. organisations: {id, name}, five at least. */
export function dutyRoutes(on, organisations, uuid) {
  const now = Date.now()
  const due = (left) => filing({ due_on: day(now + left * DAY), days_left: left })
  const filed = { receipt_no: '公备〔2026〕0117', filed_on: '2026-08-03' }
  const states = [
    { ...due(-9), state: 'overdue' },
    filing({
      ...filed,
      state: 'changed',
      changes: [
        { what: 'contact', kind: '', before: '李明 022-12345678', now: '王芳 022-87654321' },
        { what: 'devices', kind: 'camera', before: '118', now: '126' },
      ],
    }),
    due(4),
    due(12),
    filing({ ...filed, state: 'filed' }),
    filing({ state: 'not_needed' }),
  ]
  const draft = (n) => ({
    name: [
      '城区公共视频网',
      '轨道站点视频系统',
      '商业街视频系统',
      '客运枢纽视频系统',
      '学校周边视频系统',
      '写字楼大堂',
    ][n],
    organisation: organisations[n % organisations.length],
    regime: n === 5 ? 'art9' : 'art7',
    legal_basis: '《公共安全视频图像信息系统管理条例》第七条第一款',
    in_use_on: day(now - (39 - 7 * n) * DAY),
    retention_days: n === 1 ? 90 : 30,
    contact: '李明 022-12345678',
  })
  const systems = states.map((of, n) => ({
    ...draft(n),
    id: uuid(),
    version: 1,
    created_at: new Date(now - DAY).toISOString(),
    devices: n === 5 ? { camera: 6 } : { camera: 126 + n * 1204, checkpoint: 12, watchtower: 3 },
    total: n === 5 ? 6 : 141 + n * 1204,
    filing: of,
    signs: n === 2 ? 0 : n + 1,
    lacks_sign: n === 2,
  }))
  const forms = new Map()
  on('GET', '/video-systems', ({ q, session }) => (may(session, 'read_duties'), page(systems, q)))
  on('POST', '/video-systems', ({ json, session }) => {
    may(session, 'manage_duties')
    const made = {
      ...json,
      organisation: find(organisations, json.organisation),
      id: uuid(),
      version: 1,
      created_at: new Date().toISOString(),
      devices: {},
      total: 0,
      filing: due(30),
      signs: 0,
      lacks_sign: true,
    }
    systems.unshift(made)
    return made
  })
  on('GET', '/video-systems/:id/forms', ({ params, q }) => page(forms.get(params.id) ?? [], q))
  on('POST', '/video-systems/:id/forms', ({ params, session }) => {
    may(session, 'manage_duties')
    const { contact, retention_days, devices, total, organisation } = find(systems, params.id)
    const made = {
      id: uuid(),
      made_at: new Date().toISOString(),
      made_by: session.user.username,
      unit: organisation.name,
      contact,
      retention_days,
      devices,
      total,
      receipt_no: '',
      filed_on: null,
    }
    forms.set(params.id, [made, ...(forms.get(params.id) ?? [])])
    return made
  })
  on('GET', '/video-systems/:id', ({ params }) => find(systems, params.id))
  const signs = [400, 380, 12, 3].map((ago, n) => ({
    id: uuid(),
    system: { id: systems[n].id, name: systems[n].name },
    place: ['北广场入口', '站厅 A 口', '步行街东口', '候车厅'][n],
    longitude: n === 3 ? null : 117.2 + n / 100,
    latitude: n === 3 ? null : 39.1,
    wording: '您已进入公共视频图像采集区域',
    language: n === 1 ? 'zh-CN, en' : 'zh-CN',
    contact: '022-12345678',
    checked_on: day(now - ago * DAY),
    next_check_on: day(now + (365 - ago) * DAY),
    is_due: ago > 365,
    photo: '',
    version: 1,
  }))
  on('GET', '/signs', ({ q }) => {
    const system = q.get('system')
    return page(
      signs.filter((one) => system === null || one.system.id === system),
      q,
    )
  })
  for (const each of systems.slice(1, 2))
    forms.set(each.id, [
      {
        id: uuid(),
        made_at: new Date(now - 120 * DAY).toISOString(),
        made_by: 'admin',
        unit: each.organisation.name,
        contact: each.contact,
        retention_days: 90,
        devices: { camera: 118, checkpoint: 12 },
        total: 130,
        ...filed,
      },
    ])
}
