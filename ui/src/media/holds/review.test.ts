import { describe, expect, it } from 'vitest'
import { dayAhead, endOf, isReviewDay } from './review'

// half past eight in the evening of the 30th in the city
const now = Date.parse('2026-11-30T12:30:00Z')

describe('the day by which a hold is looked at again', () => {
  it('is a civil day, and lasts until its end', () => {
    expect(dayAhead(1, now)).toBe('2026-12-01')
    expect(dayAhead(0, Date.parse('2026-11-30T16:00:00Z'))).toBe('2026-12-01')
    expect(endOf('2026-12-01')).toBe('2026-12-01T15:59:59.000Z')
  })
  it.each([
    ['2026-12-01', true],
    [' 2027-11-30 ', true],
    ['2026-11-30', false],
    ['2027-12-01', false],
    ['2027-02-29', false],
    ['12/30/2026', false],
    ['soon', false],
    ['', false],
  ])('%s: %s', (text, fits) => expect(isReviewDay(text, now)).toBe(fits))
})
