// What is to be recorded, and what must not be deleted of it: recording plans and holds.
import { find, may, missing, page, Refusal } from './routes.mjs'

const DAY = 86400e3
const iso = (ms) => new Date(ms).toISOString()

/**
 * Routes over a few plans and holds of these points ({id, name}, five at least). Returns what is held of a point in
 * [from, to), as the time axis has it.
 */
export function recordingRoutes(on, points, uuid) {
  const now = Date.now()
  const known = (id) => {
    const point = points.find((one) => one.id === id)
    if (!point) throw missing()
    return { id: point.id, name: point.name }
  }
  const plan = (of) => ({
    id: uuid(),
    version: 1,
    point: null,
    point_class: null,
    mode: 'continuous',
    weekly: [],
    stream: 'main',
    priority: 5,
    on_event: null,
    since: iso(Date.now()),
    ...of,
  })
  let plans = [
    plan({ point_class: '1', since: iso(now - 30 * DAY) }),
    plan({ point: points[0].id, since: iso(now - 9 * DAY) }),
    plan({ point: points[1].id, mode: 'on_event', on_event: { pre: 10, post: 30, most: 1800 } }),
    plan({
      point: points[2].id,
      mode: 'schedule',
      weekly: [{ weekdays: [1, 2], start: '08:00', end: '20:00' }],
    }),
  ]
  const seen = (id, version) => {
    const old = find(plans, id)
    if (old.version !== Number(version))
      throw new Refusal(409, 'conflict', 'the plan has been changed meanwhile', 'read it again')
    return old
  }
  on('GET', '/recording-plans', ({ q }) => page(plans, q))
  on('POST', '/recording-plans', ({ json, session }) => {
    may(session, 'administer')
    if (json.point) known(json.point)
    const made = plan(json)
    plans.push(made)
    return made
  })
  on('PUT', '/recording-plans/:id', ({ params, json, session }) => {
    may(session, 'administer')
    const old = seen(params.id, json.version)
    const next = { ...old, ...json, version: old.version + 1, since: iso(Date.now()) }
    plans = plans.map((one) => (one === old ? next : one))
    return next
  })
  on('DELETE', '/recording-plans/:id', ({ params, q, session }) => {
    may(session, 'administer')
    const old = seen(params.id, q.get('version'))
    plans = plans.filter((one) => one !== old)
    return undefined
  })

  const hold = (point, start, minutes, reason, due, owner = { id: 'wang', name: '王' }) => ({
    id: uuid(),
    point: { id: point.id, name: point.name },
    start: iso(start),
    end: iso(start + minutes * 60e3),
    owner,
    reason,
    review_at: iso(due),
    created_at: iso(start + 3600e3),
  })
  const evening = Math.floor(now / DAY) * DAY - 5 * 3600e3
  let holds = [
    hold(points[0], evening - 20 * DAY, 95, '治安-2026-0398 盗窃', now - 2 * DAY),
    hold(points[0], evening, 40, '治安-2026-0412', now + 28 * DAY),
    hold(points[3], evening - 3 * DAY, 12, '交通-2026-1177 事故责任认定', now + 60 * DAY, {
      id: 'li.qing',
      name: '李青',
    }),
    hold(points[4], evening + 3600e3, 25, '消防-2026-0031', now + 90 * DAY),
  ]
  on('GET', '/holds', ({ q }) => {
    const point = q.get('point')
    const fit = holds.filter(
      (one) =>
        (!point || one.point.id === point) &&
        (q.get('overdue') !== 'true' || Date.parse(one.review_at) <= Date.now()),
    )
    return page(fit, q)
  })
  on('POST', '/holds', ({ json, session }) => {
    may(session, 'hold')
    const { id, display_name: name } = session.user
    const made = {
      ...json,
      id: uuid(),
      point: known(json.point),
      owner: { id, name },
      created_at: iso(Date.now()),
    }
    holds.push(made)
    return made
  })
  on('POST', '/holds/:id/release', ({ params, json, session }) => {
    may(session, 'hold')
    if ((json.reason ?? '').trim().length < 3)
      throw new Refusal(
        400,
        'invalid',
        'releasing a hold needs a reason of 3 to 500 characters',
        'say why it may be deleted',
      )
    const old = find(holds, params.id)
    holds = holds.filter((one) => one !== old)
    return undefined
  })
  return (point, from, to) =>
    holds
      .filter((one) => one.point.id === point && Date.parse(one.start) < to && Date.parse(one.end) > from)
      .map(({ id, start, end, reason }) => ({ id, start, end, reason }))
}
