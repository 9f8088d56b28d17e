// Live over WebSocket, playback, the time axis, PTZ and traces of the made-up city.
import { WebSocketServer } from 'ws'
import { byId, random, uuid } from './city.mjs'
import { may, missing, Refusal } from './routes.mjs'
import { films, fragmentAt, fragmentNumber, FRAGMENT_S, isKey } from './film.mjs'

const DAY = 86400e3
const KEPT = 30 * DAY
const PIECE = 4000
const iso = (ms) => new Date(ms).toISOString()
const plays = new Map()
const presets = new Map()

// --- what is recorded ------------------------------------------------------------------------------------

const CAUSES = [
  ['device_offline', '断电 8 分钟，断电恢复后前端存有此段'],
  ['stream_lost', 'RTP 超过 10 秒未到'],
  ['no_key_frame', ''],
  ['platform_stopped', '计划内升级'],
]
/** Gaps [start, end, cause, detail] of a point in [from, to), sorted. */
export function gapsOf(p, from, to) {
  const out = []
  const now = Date.now()
  const oldest = Math.floor((now - KEPT) / DAY) * DAY
  if (from < oldest) out.push([from, Math.min(to, oldest), 'deleted', '超过保存期限 30 天'])
  for (let day = Math.floor(Math.max(from, oldest) / DAY) * DAY; day < to; day += DAY) {
    const next = random(p.ix * 131 + day / DAY)
    const amount = Math.floor(next() * 4)
    let at = day
    for (let i = 0; i < amount; i++) {
      at += next() * 6 * 3600e3
      const length = 40e3 + next() * next() * 50 * 60e3
      const [cause, detail] = CAUSES[Math.floor(next() * CAUSES.length)]
      const [a, b] = [Math.max(at, from, oldest), Math.min(at + length, to, now)]
      if (b > a) out.push([Math.round(a), Math.round(b), cause, detail])
      at += length + 60e3
    }
  }
  const since = Date.parse(p.state_since)
  if (p.state !== 'online' && since < to) {
    const kept = out.filter((g) => g[0] < since).map((g) => [g[0], Math.min(g[1], since), g[2], g[3]])
    kept.push([Math.max(since, from), Math.min(to, now), 'device_offline', '三个周期没有保活'])
    return kept.filter((g) => g[1] > g[0])
  }
  return out
}
function spansOf(p, from, to) {
  const out = []
  let at = from
  for (const [a, b] of gapsOf(p, from, to)) {
    if (a > at) out.push([at, a])
    at = Math.max(at, b)
  }
  const end = Math.min(to, Date.now() - 2000)
  if (at < end) out.push([at, end])
  return out
}

function eventsOf(p, from, to) {
  const out = []
  for (let day = Math.floor(from / DAY) * DAY; day < to; day += DAY) {
    const next = random(p.ix * 977 + day / DAY + 5)
    const amount = 2 + Math.floor(next() * 5)
    for (let i = 0; i < amount; i++) {
      const at = day + next() * DAY
      const kind = ['alarm', 'alarm', 'hit', 'state'][Math.floor(next() * 4)]
      const text = { alarm: '区域入侵', hit: '布控命中', state: '离线后恢复' }[kind]
      if (at >= from && at < to && at < Date.now())
        out.push({ at: iso(at), end: null, kind, id: `${p.ix}-${day}-${i}`, text })
    }
  }
  return out.sort((a, b) => (a.at < b.at ? -1 : 1))
}

// --- traces ----------------------------------------------------------------------------------------------

function play(p, kind, outcome, verdict, last) {
  const id = uuid()
  const t0 = Date.now()
  const at = (ms) => iso(t0 + ms)
  const invite = `INVITE sip:${p.code}@10.21.4.20:5060 SIP/2.0\r\nVia: SIP/2.0/TCP 10.21.0.2:5060;branch=z9hG4bK7781\r\nCSeq: 20 INVITE\r\nSubject: ${p.code}:0100000042,99010000002000000001:0\r\nContent-Type: APPLICATION/SDP\r\n\r\nv=0\r\ns=Play\r\nc=IN IP4 10.21.0.2\r\nm=video 30012 TCP/RTP/AVP 96\r\na=recvonly\r\na=setup:passive\r\ny=0100000042\r\n`
  const steps = [
    { at: at(0), step: 'asked', detail: '' },
    { at: at(3), step: 'reserved', detail: '10.21.0.2:30012 TCP passive' },
    { at: at(5), step: 'invited', detail: '10.21.4.20:5060' },
    { at: at(41), step: 'trying', detail: '100' },
    ...(last === 'refused'
      ? [
          { at: at(61), step: 'refused', detail: '486 Busy Here' },
          { at: at(62), step: 'failed', detail: '486 Busy Here' },
        ]
      : last === 'failed'
        ? [
            { at: at(96), step: 'answered', detail: '200, y=0100000042' },
            { at: at(97), step: 'acknowledged', detail: '' },
            { at: at(10097), step: 'failed', detail: 'no packet on 10.21.0.2:30012 for 10 s' },
          ]
        : [
            { at: at(96), step: 'answered', detail: '200, y=0100000042' },
            { at: at(97), step: 'acknowledged', detail: '' },
            { at: at(110), step: 'connected', detail: '10.21.4.20:41002' },
            { at: at(128), step: 'first_packet', detail: 'SSRC 0100000042, PS' },
            { at: at(207), step: 'first_key_frame', detail: 'H.264 1280×720' },
          ]),
  ]
  plays.set(id, {
    id,
    point: p.id,
    kind,
    started_at: at(0),
    finished_at: outcome === 'failed' ? steps.at(-1).at : null,
    outcome,
    verdict,
    first_picture_ms: null,
    steps,
    messages: [
      { at: at(5), outgoing: true, text: invite, cut: 0 },
      { at: at(41), outgoing: false, text: 'SIP/2.0 100 Trying\r\nCSeq: 20 INVITE\r\n', cut: 0 },
      {
        at: at(96),
        outgoing: false,
        text:
          last === 'refused'
            ? 'SIP/2.0 486 Busy Here\r\n'
            : 'SIP/2.0 200 OK\r\nCSeq: 20 INVITE\r\n\r\nv=0\r\ns=Play\r\n',
        cut: 0,
      },
    ],
  })
  if (plays.size > 500) plays.delete(plays.keys().next().value)
  return id
}

// --- live ------------------------------------------------------------------------------------------------

const closeWith = (socket, code, error) => {
  socket.send(JSON.stringify({ error }))
  socket.close(code, JSON.stringify({ kind: error.kind, reason: error.reason.slice(0, 20) }))
}

function serve(socket, p, q) {
  if (!p) return closeWith(socket, 4404, { kind: 'not_found', reason: '没有这个点位', hint: '', play: null })
  if (p.ix % 23 === 7)
    return closeWith(socket, 4403, {
      kind: 'denied',
      reason: `查看“${p.name}”需要办案事由`,
      hint: '选择一个事由后重试。',
      play: null,
    })
  if (p.state !== 'online' || !films) {
    const verdict = '设备答应了发送，但没有媒体到达。检查该网段的媒体地址与 RTP 端口间的防火墙；可改用 TCP。'
    const id = play(p, 'live', 'failed', verdict, p.state === 'offline' ? 'failed' : 'refused')
    return setTimeout(
      () =>
        closeWith(socket, 4503, {
          kind: 'unavailable',
          reason: p.state === 'offline' ? '设备离线，没有应答邀请' : '设备拒绝：486 Busy Here',
          hint: '查看轨迹了解卡在哪一步。',
          play: id,
        }),
      600,
    )
  }
  const film = films[q.get('stream') === 'sub' ? 'sub' : 'main'][p.ix % 3]
  const id = play(p, 'live', 'playing', '首个关键帧在 207 毫秒后到达。', 'playing')
  const hevc = p.ix % 11 === 5 && q.get('as') !== 'h264'
  let timer
  let flows
  const hello = () => {
    if (socket.readyState !== 1) return
    const codec = hevc ? 'hvc1.1.6.L120.90' : film.codec
    socket.send(
      JSON.stringify({
        mime: `video/mp4; codecs="${codec}"`,
        codec: hevc ? 'H.265' : 'H.264',
        width: film.width,
        height: film.height,
        started_at: iso(Date.now()),
        play: id,
      }),
    )
    if (hevc) return
    socket.send(film.init)
    let n = fragmentNumber(Date.now())
    while (!isKey(n)) n -= 1
    const began = Date.now()
    const tick = () => {
      // One in seventeen freezes after twelve seconds, so that the marks of a dead camera can be seen.
      if (p.ix % 17 === 3 && Date.now() - began > 12e3 && Date.now() - began < 32e3) return
      if (p.ix % 17 === 3 && Date.now() - began > 32e3)
        return socket.close(4503, '{"kind":"unavailable","reason":"RTP timeout"}')
      while (n < fragmentNumber(Date.now()))
        if (socket.bufferedAmount < 4e6) socket.send(fragmentAt(film, n++))
    }
    tick()
    timer = setInterval(tick, FRAGMENT_S * 1000)
    flows = setInterval(() => {
      const at = iso(Date.now())
      const flow = { at, loss: p.ix % 7 === 2 ? 0.004 : 0, received_at: at, media: n * FRAGMENT_S }
      if (socket.readyState === 1) socket.send(JSON.stringify({ flow }))
    }, 1000)
  }
  setTimeout(hello, 150 + (p.ix % 5) * 80)
  socket.on('message', (data) => {
    try {
      const report = JSON.parse(data.toString())
      const one = plays.get(id)
      if (one && Number.isInteger(report.first_picture)) {
        one.first_picture_ms = report.first_picture
        one.verdict = `首个画面在 ${report.first_picture} 毫秒后出现。`
        one.steps.push({
          at: iso(Date.parse(one.started_at) + report.first_picture),
          step: 'first_picture',
          detail: '',
        })
      }
    } catch {
      // Not a report.
    }
  })
  socket.on('close', () => clearInterval(timer))
}

/** Answers `/api/v1/points/{id}/live` upgrades of people who have signed in. */
export function serveLive(server, sessions) {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  server.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url, 'http://mock')
    const id = /^\/api\/v1\/points\/([^/]+)\/live$/.exec(url.pathname)?.[1]
    const token = /anwang_mock=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
    if (!id || !sessions.has(token)) return socket.destroy()
    sockets.handleUpgrade(request, socket, head, (one) => serve(one, byId.get(id), url.searchParams))
  })
}

// --- routes ----------------------------------------------------------------------------------------------

const rangeOf = (q) => [Date.parse(q.get('from')), Date.parse(q.get('to'))]
const filmOf = (p) => films.main[p.ix % 3]
const piece = (film, from, to) => {
  const parts = []
  for (let n = fragmentNumber(from); n < fragmentNumber(to); n++) parts.push(fragmentAt(film, n))
  return Buffer.concat(parts)
}

/** held: what is held of a point in [from, to). */
export function mediaRoutes(on, { layouts, held, checkClip }) {
  const known = (id) => {
    const p = byId.get(id)
    if (!p) throw missing()
    return p
  }
  on('GET', '/points/:id/playback.m3u8', ({ params, q, session }) => {
    may(session, 'view_playback')
    const p = known(params.id)
    const [from, to] = rangeOf(q)
    const spans = films && p.streams.length ? spansOf(p, from - PIECE, to) : []
    const pieces = spans.flatMap(([a, b], s) => {
      const out = []
      for (let t = Math.ceil(a / 2000) * 2000; t + PIECE <= b && t < to; t += PIECE) out.push([t, s])
      return out
    })
    if (!pieces.length)
      throw new Refusal(404, 'not_found', '这段时间没有录像：设备离线', '最近的录像可从时间轴选取')
    const lines = ['#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-TARGETDURATION:4', '#EXT-X-MEDIA-SEQUENCE:0']
    const ends = to < Date.now() - 10e3
    lines.push(`#EXT-X-PLAYLIST-TYPE:${ends ? 'VOD' : 'EVENT'}`, '#EXT-X-INDEPENDENT-SEGMENTS')
    let before = -1
    for (const [t, s] of pieces) {
      if (s !== before) {
        if (before >= 0) lines.push('#EXT-X-DISCONTINUITY')
        lines.push(`#EXT-X-MAP:URI="../../media/${p.ix % 3}/init.mp4"`, `#EXT-X-PROGRAM-DATE-TIME:${iso(t)}`)
        before = s
      }
      lines.push('#EXTINF:4.000,', `../../media/${p.ix % 3}/${t}.m4s`)
    }
    if (ends) lines.push('#EXT-X-ENDLIST')
    return { file: Buffer.from(lines.join('\n') + '\n'), type: 'application/vnd.apple.mpegurl' }
  })
  on('GET', '/media/:film/init.mp4', ({ params }) => ({
    file: films.main[+params.film].init,
    type: 'video/mp4',
  }))
  on('GET', '/media/:film/:time.m4s', ({ params }) => ({
    file: piece(films.main[+params.film], +params.time, +params.time + PIECE),
    type: 'video/mp4',
  }))
  on('GET', '/timeline', ({ q, session }) => {
    may(session, 'view_playback')
    const [from, to] = rangeOf(q)
    const pixels = Number(q.get('pixels') ?? 2000)
    return {
      start: iso(from),
      end: iso(to),
      until: new Date().toISOString(),
      resolution_ms: Math.round((to - from) / pixels),
      points: q
        .get('points')
        .split(',')
        .map(known)
        .map((p) => {
          return {
            id: p.id,
            spans: spansOf(p, from, to).map(([a, b]) => ({ start: iso(a), end: iso(b) })),
            gaps: gapsOf(p, from, to).map(([a, b, cause, detail]) => ({
              start: iso(a),
              end: iso(b),
              cause,
              detail,
            })),
            events: eventsOf(p, from, to),
            holds: held(p.id, from, to),
            growing: false,
            causes_cut: false,
            events_cut: false,
          }
        }),
    }
  })
  on('GET', '/points/:id/calendar', ({ params, q }) => {
    const p = known(params.id)
    const first = Date.parse(`${q.get('month')}-01T00:00:00+08:00`)
    const days = []
    for (let at = first; iso(at + 8 * 3600e3).slice(0, 7) === q.get('month'); at += DAY) {
      if (at > Date.now()) break
      const recorded = spansOf(p, at, Math.min(at + DAY, Date.now())).reduce((s, [a, b]) => s + b - a, 0)
      days.push({
        date: iso(at + 8 * 3600e3).slice(0, 10),
        recorded_seconds: Math.round(recorded / 1000),
        planned_seconds: Math.round((Math.min(at + DAY, Date.now()) - at) / 1000),
      })
    }
    return { days }
  })
  on('GET', '/points/:id/clip.mp4', ({ params, q, session }) => {
    may(session, 'export')
    const p = known(params.id)
    checkClip(session, p.id, q.get('from'), q.get('to'))
    const [from, to] = rangeOf(q)
    const spans = spansOf(p, from, to)
    if (!films || !spans.length) throw new Refusal(404, 'not_found', '这段时间没有录像', null)
    const film = filmOf(p)
    return {
      headers: { 'Content-Type': 'video/mp4', 'X-Anwang-Gaps': String(gapsOf(p, from, to).length) },
      write: async (response) => {
        response.write(film.init)
        for (const [a, b] of spans)
          for (let t = a; t < b && !response.destroyed; t += PIECE) {
            response.write(piece(film, t, Math.min(t + PIECE, b)))
            await new Promise((done) => setTimeout(done, 60))
          }
        response.end()
      },
    }
  })
  on('GET', '/plays', ({ q }) => ({
    items: [...plays.values()]
      .filter((one) => one.point === q.get('point'))
      .reverse()
      .map(({ steps: _steps, messages: _messages, ...one }) => one),
    next: null,
  }))
  on('GET', '/plays/:id', ({ params }) => {
    const one = plays.get(params.id)
    if (!one) throw missing()
    return one
  })
  on('GET', '/points/:id/presets', ({ params }) => {
    const p = known(params.id)
    if (!p.ptz) throw new Refusal(400, 'unsupported', '该点位没有云台', null)
    if (!presets.has(p.id))
      presets.set(p.id, [
        { preset: 1, name: '路口全景' },
        { preset: 2, name: '人行横道' },
        { preset: 3, name: '东侧出入口' },
      ])
    return { items: presets.get(p.id), next: null }
  })
  on('POST', '/points/:id/ptz', ({ params, json, session }) => {
    may(session, 'ptz')
    const p = known(params.id)
    if (!p.ptz) throw new Refusal(400, 'unsupported', '该点位没有云台', null)
    if (p.ix % 4 === 1)
      throw new Refusal(409, 'conflict', '云台正由 指挥中心 李青 控制', '可联系对方释放，或 30 秒后再试')
    if (json.act === 'home_on') homes.set(p.id, json)
    if (json.act === 'home_off') homes.delete(p.id)
    const list = presets.get(p.id) ?? []
    if (json.act === 'preset_delete')
      presets.set(
        p.id,
        list.filter((one) => one.preset !== json.preset),
      )
    if (json.act === 'preset_set')
      presets.set(
        p.id,
        [
          ...list.filter((one) => one.preset !== json.preset),
          { preset: json.preset, name: json.name ?? '' },
        ].sort((a, b) => a.preset - b.preset),
      )
    return undefined
  })
  on('GET', '/points/:id/device-records', ({ params, q }) => {
    const p = known(params.id)
    const [from, to] = [Date.parse(q.get('from')), Math.min(Date.parse(q.get('to')), Date.now())]
    const items = []
    // A card of two days, a file an hour, an alarm now and then.
    const oldest = Date.now() - 2 * DAY
    for (let at = Math.floor(Math.max(from, oldest) / 3600e3) * 3600e3; at < to; at += 3600e3) {
      const [a, b] = [
        Math.max(at, from, oldest),
        Math.min(at + 3600e3 - ((p.ix + at / 3600e3) % 5) * 240e3, to),
      ]
      if (b > a)
        items.push({
          start: iso(a),
          end: iso(b),
          name: p.name,
          kind: (at / 3600e3 + p.ix) % 4 === 0 ? 'alarm' : 'time',
          size_bytes: null,
          place: '',
        })
    }
    return {
      items,
      next: null,
      answered: 'complete',
      announced: items.length,
      unusable: 0,
      asked_until: iso(to),
    }
  })
  const cruises = new Map()
  const homes = new Map()
  on('GET', '/points/:id/ptz/cruise', ({ params }) => {
    const p = known(params.id)
    if (!p.ptz) return { items: [], next: null, listed: false, reason: '该点位没有云台' }
    if (!cruises.has(p.id))
      cruises.set(p.id, [
        { track: 1, name: '早晚高峰', stops: [1, 2, 3].map((preset) => ({ preset, stay_s: 20, speed: 8 })) },
      ])
    return { items: cruises.get(p.id), next: null, listed: true, reason: '' }
  })
  on('POST', '/points/:id/ptz/cruise', ({ params, json, session }) => {
    may(session, 'ptz')
    const list = cruises.get(params.id) ?? []
    const found = list.find((one) => one.track === json.track)
    if (json.act === 'add' && found) found.stops.push({ preset: json.preset, stay_s: 20, speed: 8 })
    else if (json.act === 'add')
      list.push({ track: json.track, name: '', stops: [{ preset: json.preset, stay_s: 20, speed: 8 }] })
    if (json.act === 'clear')
      cruises.set(
        params.id,
        list.filter((one) => one !== found),
      )
    return undefined
  })
  on('GET', '/points/:id/ptz/home', ({ params }) => {
    const home = homes.get(params.id)
    return {
      known: true,
      is_on: !!home,
      reset_s: home?.value ?? null,
      preset: home?.preset ?? null,
      reason: '',
    }
  })
  for (const kind of ['layouts', 'tours']) {
    const kept = () => [...layouts.values()].filter((one) => one.kind === kind)
    const put = (id, json) => {
      const owner = { id: 'wang', name: '王' }
      layouts.set(id, { shared: false, ...json, id, kind, owner, mine: true })
      return layouts.get(id)
    }
    on('GET', `/${kind}`, () => ({ items: kept(), next: null }))
    on('PUT', `/${kind}`, ({ json }) => put(kept().find((one) => one.name === json.name)?.id ?? uuid(), json))
    on('PUT', `/${kind}/:id`, ({ params, json }) => put(params.id, json))
    on('DELETE', `/${kind}/:id`, ({ params }) => {
      layouts.delete(params.id)
      return undefined
    })
  }
}
