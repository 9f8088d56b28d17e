// What the stand-in says about a dropped CSV: header, code, kind, class, coordinates, duplicates.

const COLUMNS = ['code', 'name', 'kind', 'class', 'longitude', 'latitude']
const CHINESE = {
  编码: 'code',
  名称: 'name',
  类型: 'kind',
  类别: 'class',
  经度: 'longitude',
  纬度: 'latitude',
}
const KINDS = ['camera', 'checkpoint', 'alarm_point', 'sensor', 'watchtower']

export function checkCsv(text, job, points, tell) {
  const lines = text
    .replace(/^﻿/, '')
    .split(/\r?\n/)
    .filter((line) => line !== '')
  const header = (lines.shift() ?? '').split(',').map((name) => CHINESE[name.trim()] ?? name.trim())
  job.rows = lines.length
  job.status = 'validating'
  const lost = COLUMNS.filter((name) => !header.includes(name))
  const known = new Map(points.map((p) => [p.code, p]))
  const seen = new Map()
  const preview = { added: 0, changed: 0, unchanged: 0, rows: [] }
  const fault = (row, column, value, rule, severity, message) => {
    job.fault_count += 1
    if (job.faults.length < 500) job.faults.push({ row, column, value, rule, severity, message })
  }
  for (const column of lost) fault(1, column, '', 'header', 'error', `The column “${column}” is missing`)
  let at = 0
  const step = () => {
    for (
      const end = Math.min(at + Math.max(40, lines.length / 20), lines.length);
      at < end && !lost.length;
      at++
    ) {
      const cells = lines[at].split(',')
      const row = Object.fromEntries(header.map((name, i) => [name, cells[i]?.trim() ?? '']))
      const n = at + 2
      if (!/^\d{20}$/.test(row.code))
        fault(n, 'code', row.code, 'code.length', 'error', 'The code must have 20 digits')
      else if (seen.has(row.code))
        fault(n, 'code', row.code, 'code.duplicate', 'error', `The same code as in row ${seen.get(row.code)}`)
      seen.set(row.code, n)
      if (!row.name) fault(n, 'name', '', 'required', 'error', 'The name is empty')
      if (!KINDS.includes(row.kind))
        fault(n, 'kind', row.kind, 'vocabulary', 'error', `One of ${KINDS.join(', ')}`)
      const lon = Number(row.longitude)
      if (!(lon > 73 && lon < 136))
        fault(
          n,
          'longitude',
          row.longitude,
          'coordinate.range',
          'error',
          'Outside 73°–136° E; are the two coordinates exchanged?',
        )
      else if (!/\.\d{5}/.test(row.longitude))
        fault(n, 'longitude', row.longitude, 'coordinate.precision', 'warning', 'Fewer than five decimals')
      const old = known.get(row.code)
      const fields = old ? ['name', 'kind'].filter((name) => String(old[name]) !== row[name]) : []
      const change = !old ? 'added' : fields.length ? 'changed' : 'unchanged'
      preview[change] += 1
      if (preview.rows.length < 200)
        preview.rows.push({ row: n, change, code: row.code, name: row.name, fields })
    }
    job.done = lost.length ? 0 : at
    if (at < lines.length && !lost.length) {
      tell(job)
      setTimeout(step, 250)
      return
    }
    job.preview = preview
    job.status = job.faults.some((one) => one.severity === 'error') ? 'failed' : 'ready'
    tell(job)
  }
  setTimeout(step, 400)
}
