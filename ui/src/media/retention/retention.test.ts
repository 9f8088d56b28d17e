import { describe, expect, it } from 'vitest'
import { FAULTS, FINDINGS, isClean } from './retention'

describe('a day of retention', () => {
  const day = { counts: {}, failed: {}, left_out: 0 }
  it('is in order with what two persons or a hold decided', () => {
    expect(isClean({ ...day, counts: { held: 3, by_hand: 1, late: 0 } })).toBe(true)
  })
  it.each(FAULTS)('is not in order with what is %s', (kind) => {
    expect(isClean({ ...day, counts: { [kind]: 1 } })).toBe(false)
  })
  it('is not in order where something could not be deleted, or not be listed', () => {
    expect(isClean({ ...day, failed: { recordings: 'the disk did not answer' } })).toBe(false)
    expect(isClean({ ...day, left_out: 1 })).toBe(false)
  })
  it('shows every kind', () => {
    expect([...FINDINGS].sort()).toEqual(['by_hand', 'early', 'held', 'late', 'short'])
  })
})
