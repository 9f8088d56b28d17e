import i18next from 'i18next'
import { beforeAll, describe, expect, it } from 'vitest'
import type { OversightMonth } from '../../api/types'
import { resources, startLanguage } from '../../i18n'
import { kindOf, windowOf } from './anomalies'
import { draftOf, fieldsOf, sent, stepsFor, unreportedSeconds } from './breaches'
import { csvOf, drill, monthsUntil, NAMES, wordsOf } from './month'

beforeAll(() => startLanguage('en'))
const t = i18next.t.bind(i18next)

const REPORT: OversightMonth = {
  month: '2026-11',
  from: '2026-10-31T16:00:00Z',
  to: '2026-11-30T16:00:00Z',
  publishable: false,
  waiting: 0,
  tables: {
    looks: [
      { names: ['view_live', '', '北区'], count: 1200 },
      { names: ['export', 'criminal_case', '=cmd(),"x"'], count: null },
    ],
    urgent: [{ names: ['overdue'], count: 1 }],
    anomalies: [{ names: ['burst', 'open'], count: 3 }],
    breaches: [{ names: ['draft'], count: 1 }],
  },
}

describe('G21: a month in numbers', () => {
  it('reads in words, a published one without its unit', () => {
    expect(wordsOf('looks', { names: ['view_live', '', '北区'], count: 1 }, t)).toEqual([
      'Live',
      'no purpose stated',
      '北区',
    ])
    expect(wordsOf('looks', { names: ['view_live', 'rescue'], count: 1 }, t)).toHaveLength(2)
    expect(wordsOf('refusals', { names: ['export', 'no purpose'], count: 1 }, t)[1]).toBe('no purpose')
    expect(wordsOf('deletions', { names: ['retention recordings'], count: 1 }, t)).toEqual(['Recordings'])
    expect(wordsOf('events', { names: ['something new'], count: 1 }, t)).toEqual(['something new'])
  })

  it('leads from each number to its rows', () => {
    const span = { from: REPORT.from, to: REPORT.to }
    const to = (table: (typeof NAMES)[number], ...names: string[]) => drill(table, { names, count: 1 }, span)
    expect(to('looks', 'view_live', '', '')).toBe(
      '/ledger?kind=opened&action=view_live&from=2026-10-31T16%3A00%3A00Z&to=2026-11-30T16%3A00%3A00Z',
    )
    expect(to('refusals', 'export', 'no purpose')).toContain('kind=denied&action=export')
    expect(to('anomalies', 'burst', 'misconduct')).toBe('/oversight?tab=anomalies&state=misconduct')
    expect(to('breaches', 'draft')).toBe('/oversight?tab=breaches&state=draft')
    for (const table of NAMES) expect(to(table, 'x', 'y', 'z')).not.toBeNull()
  })

  it('is taken away as a table that no spreadsheet runs', () => {
    const lines = csvOf(REPORT, t).split('\r\n')
    expect(lines[0]).toBe('\uFEFFOversight,2026-11')
    expect(lines[2]).toBe('Looks,Live,no purpose stated,北区,1200')
    expect(lines[3]).toBe('Looks,Clip download,Criminal case,"\'=cmd(),""x""",< 10')
    expect(lines).toHaveLength(2 + 2 + 3 + 1)
  })

  it('offers months, the running one in China first', () => {
    expect(monthsUntil(Date.parse('2026-12-31T16:00:00Z'), 3)).toEqual(['2027-01', '2026-12', '2026-11'])
  })

  it('has a name for each table in both languages', () => {
    for (const { governance } of Object.values(resources)) {
      const { oversight } = governance as unknown as { oversight: Record<'tables' | 'about', object> }
      expect(Object.keys(oversight.tables).sort()).toEqual([...NAMES].sort())
      expect(Object.keys(oversight.about).sort()).toEqual([...NAMES].sort())
    }
  })
})

describe('G22: anomalies', () => {
  it.each([
    ['burst', 'opened'],
    ['searches', 'used'],
    ['refused', 'denied'],
    ['off_hours', 'opened'],
    ['repeated', 'opened'],
  ] as const)('%s counts rows that are %s', (rule, kind) => expect(kindOf(rule)).toBe(kind))
})

describe('G22: when an anomaly was', () => {
  const days = { from: '2026-11-21T16:00:00Z', to: '2026-11-26T16:00:00Z' }
  it('is days where days were judged, and else hours', () => {
    expect(windowOf({ rule: 'repeated', ...days })).toBe('2026-11-22 – 2026-11-26')
    expect(windowOf({ rule: 'off_hours', from: days.from, to: '2026-11-22T16:00:00Z' })).toBe('2026-11-22')
    expect(windowOf({ rule: 'burst', from: '2026-11-22T00:00:00Z', to: '2026-11-22T01:00:00Z' })).toBe(
      '2026-11-22 08:00:00 – 09:00:00',
    )
  })
})

describe('G23: breaches', () => {
  it.each([
    ['draft', ['report', 'close']],
    ['reported', ['notify', 'close']],
    ['notified', ['close']],
    ['closed', []],
  ] as const)('a breach that is %s goes on by %s', (state, steps) => expect(stepsFor(state)).toEqual(steps))

  it('runs its clock until somebody reports it', () => {
    const one = { found_at: '2026-11-30T00:00:00Z', unreported_seconds: 60 }
    const now = Date.parse('2026-11-30T02:00:00Z')
    expect(unreportedSeconds({ ...one, state: 'draft' }, now)).toBe(7200)
    expect(unreportedSeconds({ ...one, state: 'reported' }, now)).toBe(60)
  })

  it('sends civil time as moments, and leaves open what nobody knows', () => {
    expect(sent('2026-11-30 08:00')).toBe('2026-11-30T00:00:00.000Z')
    expect([sent(''), sent(undefined), sent('tomorrow')]).toEqual([null, null, null])
    const fields = { ...fieldsOf(null, Date.parse('2026-11-30T00:00:00Z')) }
    expect(fields.found_at).toBe('2026-11-30 08:00')
    const draft = draftOf({
      title: 'a',
      organisation: 'o',
      what: 'b',
      kinds: ['video'],
      contact: 'c',
      found_at: '2026-11-30 08:00',
      from: '2026-11-29 08:00',
      to: '',
    })
    expect([draft.to, draft.affected]).toEqual([null, null])
  })
})
