// Why somebody looks: purposes, second persons' approvals, and the ledger of it.
import { find, may, missing, page, Refusal } from './routes.mjs'

const HOUR = 3600e3
const iso = (ms) => new Date(ms).toISOString()
export const CUSTOMS = { purpose_minutes: 720, approval_hours: 24, urgent_hours: 24 }

/** Raises what the server raises for a clip: a purpose first, then a second person. */
function checkClip(session, approvals, point, from, to) {
  const { purpose } = session
  if (!purpose || Date.parse(purpose.expires_at) <= Date.now() || purpose.kind === 'maintenance')
    throw new Refusal(
      403,
      'purpose_needed',
      'a purpose must be stated for this',
      'open one with its case number and unit',
    )
  const short = Date.parse(to) - Date.parse(from) <= 600e3 && Date.now() - Date.parse(from) < 24 * HOUR
  const covers = (one) =>
    one.mine &&
    ['granted', 'urgent'].includes(one.state) &&
    one.objects.some(({ id }) => id === point) &&
    one.from <= from &&
    to <= one.to
  if (!short && !approvals.some(covers))
    throw new Refusal(
      403,
      'approval_needed',
      'a second person must approve this',
      'ask for approval of these points and this time',
    )
}

/** Routes over a few requests for these points ({id, name}, two at least). Returns the check before a clip. */
export function caseRoutes(on, points, uuid) {
  const now = Date.now()
  const purposes = []
  const purpose = (kind, case_no, unit) => ({
    id: uuid(),
    kind,
    case_no,
    unit,
    note: '',
    opened_at: iso(now - HOUR),
    expires_at: iso(now + HOUR),
  })
  const request = (of) => ({
    id: uuid(),
    user: { id: 'li', name: 'li' },
    unit: '北区分局',
    action: 'export',
    objects: [{ id: points[0].id, name: points[0].name }],
    from: iso(now - 30 * HOUR),
    to: iso(now - 29 * HOUR),
    purpose: purpose('criminal_case', 'A440300-2026-118', '北区分局'),
    reason: '嫌疑车辆经过该路口',
    state: 'open',
    urgent: false,
    created_at: iso(now - HOUR),
    expires_at: iso(now + 23 * HOUR),
    decided_at: null,
    decided_by: '',
    decision: '',
    uses: 0,
    mine: false,
    may_decide: false,
    ...of,
  })
  let approvals = [
    request({ may_decide: true }),
    request({
      may_decide: true,
      urgent: true,
      state: 'urgent',
      objects: points.slice(0, 2).map(({ id, name }) => ({ id, name })),
      purpose: purpose('missing_person', 'ZS-2026-0731', '北区分局'),
      reason: '走失老人最后出现处',
    }),
    request({
      state: 'refused',
      decided_at: iso(now - 2 * HOUR),
      decided_by: 'zhao',
      decision: '时段过长，请缩短',
    }),
  ]

  on('POST', '/purposes', ({ json, session }) => {
    may(session, 'open_purpose')
    const made = {
      ...purpose(json.kind, json.case_no, json.unit),
      note: json.note ?? '',
      opened_at: iso(Date.now()),
      expires_at: iso(Date.now() + json.minutes * 60e3),
    }
    purposes.unshift(made)
    session.purpose = made
    return made
  })
  on('GET', '/purposes', ({ q }) => page(purposes, q))
  on('DELETE', '/purposes/:id', ({ params, session }) => {
    find(purposes, params.id).expires_at = iso(Date.now())
    session.purpose = null
    return undefined
  })

  const change = (id, part) => {
    const next = { ...find(approvals, id), ...part }
    approvals = approvals.map((one) => (one.id === id ? next : one))
    return next
  }
  on('GET', '/approvals', ({ q }) => {
    const states = q.getAll('state')
    return page(
      approvals.filter(({ state }) => states.length === 0 || states.includes(state)),
      q,
    )
  })
  on('POST', '/approvals', ({ json, session }) => {
    may(session, 'ask_approval')
    if (!session.purpose)
      throw new Refusal(
        403,
        'purpose_needed',
        'an approval is asked for a purpose',
        'open one with its case number and unit',
      )
    const made = request({
      user: { id: session.user.id, name: session.user.username },
      unit: session.user.organisation.name,
      objects: json.objects.map((id) => {
        const point = points.find((one) => one.id === id)
        if (!point) throw missing()
        return { id, name: point.name }
      }),
      from: json.from,
      to: json.to,
      purpose: session.purpose,
      reason: json.reason,
      urgent: json.urgent,
      state: json.urgent ? 'urgent' : 'open',
      created_at: iso(Date.now()),
      expires_at: iso(Date.now() + 24 * HOUR),
      mine: true,
    })
    approvals.unshift(made)
    return made
  })
  on('GET', '/approvals/:id', ({ params }) => find(approvals, params.id))
  on('DELETE', '/approvals/:id', ({ params }) => {
    change(params.id, { state: 'withdrawn', expires_at: iso(Date.now()) })
    return undefined
  })
  on('POST', '/approvals/:id/decision', ({ params, json, session }) => {
    may(session, 'approve')
    if (!json.yes && json.reason.trim() === '')
      throw new Refusal(400, 'invalid', 'the reason must not be empty', null)
    return change(params.id, {
      state: json.yes ? 'granted' : 'refused',
      decided_at: iso(Date.now()),
      decided_by: session.user.username,
      decision: json.reason,
      expires_at: iso(Date.now() + 24 * HOUR),
      may_decide: false,
    })
  })

  const row = (seq, of) => ({
    chain: 'main',
    seq,
    at: iso(now - (200 - seq) * 60e3),
    kind: 'opened',
    user: { id: 'li', name: 'li' },
    role: 'investigator',
    org_path: '/city/north/',
    session: 's-1',
    terminal: '10.20.3.14',
    action: 'export',
    objects: [points[0].id],
    scope: '',
    look: `look-${seq}`,
    count: 0,
    bytes: 0,
    seconds: 0,
    outcome: '',
    detail: '',
    unit: '北区分局',
    purpose: 'purpose-1',
    reason: 'criminal_case',
    case: 'A440300-2026-118',
    approval: '',
    recipient: '',
    skew_us: 0,
    ...of,
  })
  const ledger = [
    row(199, { kind: 'closed', look: 'look-198', bytes: 7_340_032, seconds: 4.2, outcome: 'done' }),
    row(198, {}),
    row(197, { kind: 'purpose', action: 'open_purpose', objects: ['purpose-1'], look: '' }),
    ...Array.from({ length: 190 }, (_, n) =>
      row(196 - n, {
        kind: n % 3 === 0 ? 'closed' : 'opened',
        action: 'view_live',
        user: { id: 'wang', name: 'wang' },
        role: 'operator',
        unit: '指挥中心',
        objects: [points[n % 2].id],
        purpose: '',
        reason: '',
        case: '',
      }),
    ),
  ]
  on('GET', '/ledger', ({ q, session }) => {
    may(session, 'read_ledger')
    const is = (name, value) => !q.get(name) || q.get(name) === value
    const fits = (one) =>
      (is('actor', one.user.id) || is('actor', one.user.name)) &&
      is('action', one.action) &&
      is('kind', one.kind) &&
      is('case', one.case) &&
      (!q.get('object') ||
        [...one.objects, one.look, one.purpose, one.approval, one.user.id].includes(q.get('object'))) &&
      (!q.get('from') || one.at >= q.get('from')) &&
      (!q.get('to') || one.at < q.get('to'))
    // as the server does without its searchable copy, only so many rows are looked at for one answer
    const { items, next } = page(ledger, new URLSearchParams({ limit: 120, cursor: q.get('cursor') ?? 0 }))
    return { items: items.filter(fits), next, scanned: items.length, copy: 'away' }
  })
  return (session, point, from, to) => checkClip(session, approvals, point, from, to)
}
