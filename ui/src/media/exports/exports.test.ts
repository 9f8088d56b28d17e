import { describe, expect, it } from 'vitest'
import { areasFault, bounded, isShown, shareOf, type Area } from './exports'

const area = (start: number, end: number): Area => ({
  start,
  end,
  polygon: [
    [0, 0],
    [0.5, 0],
    [0.5, 0.5],
  ],
})

describe('exports', () => {
  it('tells how far it is', () => {
    expect(shareOf({ seconds: 60, seconds_done: 15 })).toBe(0.25)
    expect(shareOf({ seconds: 0, seconds_done: 0 })).toBe(0)
    expect(shareOf({ seconds: 10, seconds_done: 11 })).toBe(1)
  })

  it('asks for areas, or for a word that there are none', () => {
    expect(areasFault([], false, false)).toBe('clear_needed')
    expect(areasFault([], false, true)).toBeNull()
    expect(areasFault([area(0, 9)], false, false)).toBeNull()
    expect(areasFault([area(0, 9)], true, false)).toBe('unfinished')
    const crossed: Area = {
      ...area(0, 9),
      polygon: [
        [0, 0],
        [1, 1],
        [1, 0],
        [0, 1],
      ],
    }
    expect(areasFault([crossed], false, true)).toBe('wrong')
  })

  it('keeps an area inside the clip and longer than nothing', () => {
    const clip = { start: 0, end: 60_000 }
    expect(bounded(area(0, 60_000), 'start', 20_000, clip).start).toBe(20_000)
    expect(bounded(area(0, 60_000), 'start', 70_000, clip).start).toBe(59_000)
    expect(bounded(area(30_000, 60_000), 'end', 10_000, clip).end).toBe(31_000)
    expect(bounded(area(30_000, 50_000), 'end', 90_000, clip).end).toBe(60_000)
  })

  it('shows an area from its start until before its end', () => {
    expect([9, 10, 19, 20].map((at) => isShown(area(10, 20), at))).toEqual([false, true, true, false])
  })
})
