import { describe, expect, it } from 'vitest'
import { changeKey, clockOf, fieldsOf, leastDays, photoFault, pressOf } from './duties'

describe('G16: the clock of a filing', () => {
  it.each([
    ['overdue', -3, 'late', ['over', 3]],
    ['due', 0, 'soon', ['today', 0]],
    ['due', 7, 'soon', ['left', 7]],
    ['due', 8, 'calm', ['left', 8]],
    ['changed', null, 'changed', ['changed', 0]],
    ['filed', null, 'done', ['filed', 0]],
    ['not_needed', null, 'none', ['not_needed', 0]],
  ] as const)('%s with %s days left is %s', (state, days_left, press, text) => {
    expect(pressOf({ state, days_left })).toBe(press)
    expect(clockOf({ state, days_left })).toEqual(text)
  })

  it('names a change by what it is about', () => {
    expect(changeKey({ what: 'devices', kind: 'camera', before: '5', now: '7' })).toBe('shared:kind.camera')
    expect(changeKey({ what: 'contact', kind: '', before: 'a', now: 'b' })).toBe(
      'governance:duty.what.contact',
    )
  })

  it('begins a form with what article 17 asks for', () => {
    expect([leastDays('art7'), leastDays('art9'), leastDays('nonpublic')]).toEqual([30, 1, 1])
    expect(fieldsOf(null)).toEqual({ regime: 'art7', retention_days: 30 })
  })
})

describe('G17: a photo of a sign', () => {
  it.each([
    ['image/jpeg', 1, null],
    ['image/png', 5 * 1024 * 1024, null],
    ['image/png', 5 * 1024 * 1024 + 1, 'size'],
    ['image/svg+xml', 1, 'type'],
    ['', 1, 'type'],
  ] as const)('%s of %s bytes', (type, size, fault) => {
    expect(photoFault({ type, size })).toBe(fault)
  })
})
