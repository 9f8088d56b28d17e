import { describe, expect, it } from 'vitest'
import { clockOf, draftOf, momentOf, pressOf, type Fields } from './requests'

const fields: Fields = {
  kind: 'request',
  organisation: 'north',
  received_on: '2026-11-30',
  channel: 'counter',
  ground: 'property',
  what: ' 电动车被撞 ',
  place: '北门路 1 号',
  from: '2026-11-29 08:30',
  to: '2026-11-29 09:00',
  name: '张三（合成）',
  contact: '13800000000',
}

describe('requests', () => {
  it('has a clock that presses', () => {
    expect([-1, 0, 3, 4, null].map((days_left) => pressOf({ days_left }))).toEqual([
      'late',
      'soon',
      'soon',
      'calm',
      'done',
    ])
    expect(clockOf({ days_left: -2 })).toEqual(['over', 2])
    expect(clockOf({ days_left: 0 })).toEqual(['today', 0])
    expect(clockOf({ days_left: 5 })).toEqual(['left', 5])
    expect(clockOf({ days_left: null })).toEqual(['closed', 0])
  })

  it('reads a moment of the city', () => {
    expect(momentOf('2026-11-30 08:30')).toBe('2026-11-30T00:30:00.000Z')
    for (const wrong of ['', '2026-11-31 08:30', '2026-11-30', '2026-11-30 24:00', '30.11.2026 08:30'])
      expect(momentOf(wrong)).toBeNull()
  })

  it('sends of a complaint no ground', () => {
    expect(draftOf(fields)).toMatchObject({
      ground: 'property',
      what: '电动车被撞',
      from: '2026-11-29T00:30:00.000Z',
    })
    const complaint = draftOf({ ...fields, kind: 'complaint', place: '', from: '', to: '' })
    expect(complaint).toMatchObject({ ground: null, from: null, to: null, place: '' })
  })
})
