import { describe, expect, it } from 'vitest'
import { allDays, begin, isKnown, outages, percent, share, spanOfDay, sum } from './days'

const day = (online_s: number, offline_s: number, unknown_s: number, name = '2026-11-30') => ({
  day: name,
  online_s,
  offline_s,
  unknown_s,
})

describe('the share of a day online', () => {
  it('never counts unknown as good', () => {
    expect(share(day(50, 0, 50))).toBe(0.5)
    expect(percent(day(50, 0, 50))).toBe('50.0 %')
  })
  it('is whole only where nothing was missing, and nothing only where nothing was there', () => {
    expect(percent(day(86_400, 0, 0))).toBe('100 %')
    expect(percent(day(86_399, 1, 0))).toBe('99.9 %')
    expect(percent(day(1, 86_399, 0))).toBe('0.1 %')
    expect(percent(day(0, 86_400, 0))).toBe('0 %')
    expect(percent(day(0, 0, 0))).toBe('–')
  })
  it('adds up over days', () =>
    expect(sum([day(1, 2, 3), day(10, 20, 30)])).toMatchObject({ online_s: 11, unknown_s: 33 }))
})

it('is told only of days of which something is known', () => {
  expect([day(0, 0, 86_400), day(0, 5, 86_395)].map(isKnown)).toEqual([false, true])
})

describe('civil days of China', () => {
  const now = Date.parse('2026-11-30T00:30:00+08:00')
  it('begin at midnight there, today being the last', () => {
    expect(new Date(begin(now, 2)).toISOString()).toBe('2026-11-28T16:00:00.000Z')
    expect(spanOfDay('2026-11-30', now).to).toBe(now)
    expect(spanOfDay('2026-11-29', now).to).toBe(Date.parse('2026-11-30T00:00:00+08:00'))
  })
  it('are all listed: what nothing is written of is unknown', () => {
    const all = allDays([day(86_400, 0, 0, '2026-11-28')], begin(now, 3), now)
    expect(all.map((one) => [one.day, one.unknown_s])).toEqual([
      ['2026-11-28', 0],
      ['2026-11-29', 86_400],
      ['2026-11-30', 1_800],
    ])
  })
})

it('counts how often it was lost', () => {
  const span = (state: 'online' | 'offline') => ({ start: '', end: null, state, reason: '', cause: '' })
  expect(outages([span('online'), span('offline'), span('online'), span('offline')])).toBe(2)
})
