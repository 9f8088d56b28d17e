import { describe, expect, it } from 'vitest'
import { daysLeft, fieldsOf, needsSecond, pressOf, stepsFor } from './agreements'

const NOON = Date.parse('2026-11-30T12:00:00+08:00')
const LATE = Date.parse('2026-11-30T23:59:00+08:00')

describe('G19: sharing agreements', () => {
  it.each([
    ['draft', ['approve', 'end']],
    ['agreed', ['suspend', 'end']],
    ['in_force', ['suspend', 'end']],
    ['suspended', ['resume', 'end']],
    ['expired', []],
    ['ended', []],
  ] as const)('what is %s can be %s', (state, steps) => {
    expect(stepsFor(state)).toEqual(steps)
  })

  it('wants a second person for what gives rights', () => {
    expect((['approve', 'suspend', 'resume', 'end'] as const).filter(needsSecond)).toEqual([
      'approve',
      'resume',
    ])
  })

  it.each([
    ['2026-11-30', 0],
    ['2026-12-30', 30],
    ['2026-11-29', -1],
  ])('counts civil days until %s', (until, left) => {
    expect([NOON, LATE].map((now) => daysLeft({ until }, now))).toEqual([left, left])
  })

  it.each([
    ['in_force', '2026-12-30', 'soon'],
    ['in_force', '2026-12-31', 'done'],
    ['suspended', '2026-12-31', 'changed'],
    ['expired', '2026-11-29', 'none'],
    ['draft', '2026-12-31', 'calm'],
  ] as const)('%s until %s is %s', (state, until, press) => {
    expect(pressOf({ state, until }, NOON)).toBe(press)
  })

  it('begins a form with little to give away', () => {
    expect(fieldsOf(null, NOON)).toMatchObject({
      actions: ['read_points'],
      from: '2026-11-30',
      until: '2027-05-29',
    })
  })
})
