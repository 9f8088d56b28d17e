import { describe, expect, it } from 'vitest'
import type { FileEntry, Finding, FindingCounts, PointDetail } from '../../api/types'
import { passing } from '../findings/queries'
import {
  changesOf,
  clashes,
  faultsAt,
  grouped,
  GROUPS,
  isNeeded,
  namesOf,
  refusals,
  textsOf,
  written,
} from './fields'

const entry = (key: string, more: Partial<FileEntry> = {}): FileEntry => ({
  key,
  label: key,
  a: key,
  b: null,
  form: 'text',
  classes: [],
  of_seeing: false,
  is_free: false,
  choices: [],
  ...more,
})

describe('what is changed of a file', () => {
  const before = { name: '东门', mac: 'AA', model: 'X' }
  it('is what differs, and what was emptied', () => {
    const draft = { name: ' 东门 ', mac: '', model: 'Y', project: '', lens: '4 mm' }
    expect(changesOf(draft, before)).toEqual({ mac: null, model: 'Y', lens: '4 mm' })
  })
  it('clashes only where somebody else changed the same', () => {
    const now = { name: '南门', mac: 'BB', model: 'X' }
    expect(clashes({ mac: 'CC', model: 'Y' }, before, now)).toEqual(['mac'])
    expect(clashes({ mac: 'AA' }, before, now)).toEqual([])
  })
})

it('what the server refuses is told by field', () => {
  const known = new Set(['mac', 'retention_days'])
  const found = refusals(
    'retention_days: 应为 0 到 3650 的整数; mac: 不对; and more; odd: no such field',
    known,
  )
  expect([...found]).toEqual([
    ['retention_days', '应为 0 到 3650 的整数'],
    ['mac', '不对; and more'],
    ['', 'odd: no such field'],
  ])
})

it('faults are told by field, of all findings', () => {
  const finding = (severity: Finding['severity'], ...fields: string[]) =>
    ({ severity, faults: fields.map((field) => ({ field, message: `${field}!` })) }) as unknown as Finding
  const at = faultsAt([finding('error', 'mac', 'name'), finding('warning', 'mac')])
  expect(at.get('mac')?.map(({ severity }) => severity)).toEqual(['error', 'warning'])
  expect(at.get('name')).toHaveLength(1)
})

it('every field is in one group, those that none names in the last', () => {
  const keys = [...Object.values(GROUPS).flat(), 'phase', 'project']
  const groups = grouped(keys.map((key) => entry(key)))
  expect(groups.flatMap(([, members]) => members.map(({ key }) => key)).sort()).toEqual([...keys].sort())
  expect(groups.at(-1)?.[1].map(({ key }) => key)).toEqual(['phase', 'project'])
})

it('a generation writes its own codes', () => {
  const choices = [
    { value: 'face', label: '人脸卡口', a: '2', b: '01' },
    { value: 'person', label: '人员卡口', a: '2', b: '02' },
    { value: 'ordinary', label: '普通监控', a: '5', b: '' },
  ]
  const field = entry('function_type', { form: 'choices', choices })
  expect(written(field, 'face/person/ordinary', 'a', new Map())).toBe('2/5')
  expect(written(field, 'face/person/ordinary', 'b', new Map())).toBe('01/02')
  const place = entry('place_type', {
    form: 'choices',
    choices: [{ value: '10', label: '', a: '10', b: '' }],
  })
  expect(written(place, '10/0010203', 'a', new Map())).toBe('10')
  expect(written(place, '10/0010203', 'b', new Map())).toBe('0010203')
})

it('owners are told with their names', () => {
  const point = {
    file: [{ key: 'name', label: '', value: '东门' }, { key: 'height_m', label: '', value: 4.5 }],
    organisation: { id: 'o', name: '东区', path: [] },
    division: { code: '990101', name: '河东区' },
    owners: { paid: { id: 'p', name: '财政局' }, owns: null, maintains: null, may_see: [{ id: 'o', name: '东区' }] },
  } as unknown as PointDetail // prettier-ignore
  expect(textsOf(point)).toEqual({
    name: '东门',
    height_m: '4.5',
    organisation: 'o',
    paid: 'p',
    may_see: 'o',
  })
  expect(namesOf(point).get('p')).toBe('财政局')
  expect(namesOf(point).get('990101')).toBe('河东区')
})

it('what a class needs of what sees is not asked of sensors', () => {
  const field = entry('codec', { classes: [1], of_seeing: true })
  expect(isNeeded(field, { class: 1, kind: 'camera' })).toBe(true)
  expect(isNeeded(field, { class: 3, kind: 'camera' })).toBe(false)
  expect(isNeeded(field, { class: 1, kind: 'sensor' })).toBe(false)
})

it('files in order are rounded down, and nobody knows before all were looked at', () => {
  const counts = (points: number, faulty: number, surveyed_at: string | null): FindingCounts => ({
    rules: [],
    points,
    faulty,
    surveyed_at,
  })
  expect(passing(counts(100_000, 1, '2026-11-30T00:00:00Z'))).toBe('99.9 %')
  expect(passing(counts(3, 0, '2026-11-30T00:00:00Z'))).toBe('100.0 %')
  expect(passing(counts(3, 0, null))).toBeNull()
  expect(passing(counts(0, 0, '2026-11-30T00:00:00Z'))).toBeNull()
})
