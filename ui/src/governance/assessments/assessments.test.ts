import { describe, expect, it } from 'vitest'
import type { Assessment } from '../../api/types'
import { clockOf, draftOf, fieldsOf, pressOf, yearLater, type AssessmentFields } from './assessments'

const NOON = Date.parse('2026-11-30T12:00:00+08:00')
const ONE = {
  subject: '北门广场',
  organisation: { id: 'north', name: '北区' },
  system: null,
  necessity: '一',
  risks: '二',
  measures: '三',
  conclusion: '四',
  made_on: '2025-01-02',
  review_by: '2026-01-02',
} as Assessment

describe('G18: impact assessments', () => {
  it.each([
    ['overdue', 'late'],
    ['due', 'soon'],
    ['draft', 'calm'],
    ['current', 'done'],
    ['superseded', 'none'],
  ] as const)('%s presses as %s', (review, press) => {
    expect(pressOf(review)).toBe(press)
  })

  it('tells days without a sign', () => {
    expect(clockOf({ review: 'overdue', days_left: -3 })).toEqual(['overdue', 3])
  })

  it.each([
    ['2026-11-30', '2027-11-30'],
    ['2028-02-29', '2029-02-28'],
  ])('a year after %s is %s', (day, later) => {
    expect(yearLater(day)).toBe(later)
  })

  it('keeps the days of a draft, and dates a new edition today', () => {
    expect(fieldsOf(ONE, false, NOON)).toMatchObject({ made_on: '2025-01-02', review_by: '2026-01-02' })
    expect(fieldsOf(ONE, true, NOON)).toMatchObject({
      risks: '二',
      made_on: '2026-11-30',
      review_by: '2027-11-30',
    })
    expect(fieldsOf(null, true, NOON)).toMatchObject({ subject: '', made_on: '2026-11-30' })
  })

  it('sends no system where none is chosen', () => {
    const fields = fieldsOf(ONE, false, NOON) as AssessmentFields
    expect(draftOf(fields).system).toBeNull()
    expect(draftOf({ ...fields, system: 's1' }).system).toBe('s1')
  })
})
