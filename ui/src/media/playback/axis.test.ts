import { describe, expect, it } from 'vitest'
import {
  around,
  asked,
  DAY,
  following,
  HOUR,
  MINUTE,
  nearest,
  NARROWEST,
  nextSpan,
  panBy,
  recordedShare,
  selection,
  spanAround,
  spanOf,
  ticks,
  timeAt,
  typedTime,
  WIDEST,
  xOf,
  zoomAt,
} from './axis'
import { readPlayback, writePlayback } from './playbackState'

const noon = Date.parse('2026-11-22T04:00:00Z')
const view = around(noon, 6 * HOUR)

describe('the time axis', () => {
  it('turns pixels into times and back', () => {
    for (const x of [0, 1, 333.25, 1000]) expect(xOf(view, 1000, timeAt(view, 1000, x))).toBeCloseTo(x, 6)
    expect(timeAt(view, 1000, 500)).toBe(noon)
  })
  it('keeps the moment under the pointer while zooming', () => {
    const at = timeAt(view, 1000, 123)
    expect(xOf(zoomAt(view, at, 0.5), 1000, at)).toBeCloseTo(123, 6)
    expect(xOf(zoomAt(view, at, 3), 1000, at)).toBeCloseTo(123, 6)
  })
  it('zooms between half an hour and thirty days', () => {
    expect(spanOf(zoomAt(view, noon, 1e-6))).toBe(NARROWEST)
    expect(spanOf(zoomAt(view, noon, 1e9))).toBe(WIDEST)
  })
  it('puts days on civil midnight and keeps labels apart', () => {
    const wide = around(noon, 7 * DAY)
    const { step, ticks: marks } = ticks(wide, 1000)
    expect(step).toBe(DAY)
    for (const { at, day } of marks) {
      expect(day).toBe(true)
      expect(new Date(at).toISOString()).toContain('T16:00:00')
    }
    for (const span of [NARROWEST, HOUR, 6 * HOUR, DAY, WIDEST])
      expect((ticks(around(noon, span), 900).step / span) * 900).toBeGreaterThanOrEqual(83)
  })
  it('follows the playhead by turning a page', () => {
    expect(following(view, noon)).toBe(view)
    const next = following(view, view.to)
    expect(spanOf(next)).toBe(spanOf(view))
    expect(xOf(next, 100, view.to)).toBeCloseTo(15)
  })
  it('asks for round ranges that near views share, never for the future', () => {
    const now = noon + 30 * DAY
    expect(asked(panBy(view, MINUTE), now)).toEqual(asked(panBy(view, 2 * MINUTE), now))
    const range = asked(view, now)
    expect(range.from).toBeLessThanOrEqual(view.from)
    expect(range.to).toBeGreaterThanOrEqual(view.to)
    expect(asked(view, noon).to).toBe(noon)
  })
  it('finds the nearest recording', () => {
    const spans = [
      { start: 0, end: 60_000 },
      { start: 100_000, end: 200_000 },
    ]
    expect(nearest(spans, 70_000)).toBe(55_000)
    expect(nearest(spans, 95_000)).toBe(100_000)
    expect(nearest(spans, 150_000)).toBe(150_000)
    expect(nearest([], 1)).toBeNull()
  })
  it('selects whole seconds of the past', () => {
    expect(selection(5_400, 1_200, 1e9)).toEqual({ start: 1_000, end: 6_000 })
    expect(selection(5_000, 9e9, 60_500)).toEqual({ start: 5_000, end: 60_000 })
    expect(selection(2e6, 3e6, 1e6)).toBeNull()
  })
  it('reads typed civil times', () => {
    expect(typedTime('2026-11-22 21:14:32', noon)).toBe(Date.parse('2026-11-22T13:14:32Z'))
    expect(typedTime('11-20 08:00', noon)).toBe(Date.parse('2026-11-20T00:00:00Z'))
    expect(typedTime('21:14', noon)).toBe(Date.parse('2026-11-22T13:14:00Z'))
    for (const wrong of ['', 'soon', '25:00', '2026-02-30 10:00', '13-01 10:00'])
      expect(typedTime(wrong, noon)).toBeNull()
  })
})

describe('a day of the calendar', () => {
  it('is as complete as its plan wanted, and never empty where something was recorded without one', () => {
    expect(recordedShare({ recorded_seconds: 50, planned_seconds: 100 })).toBe(0.5)
    expect(recordedShare({ recorded_seconds: 120, planned_seconds: 100 })).toBe(1)
    expect(recordedShare({ recorded_seconds: 43_200, planned_seconds: 0 })).toBe(0.5)
    expect(recordedShare({ recorded_seconds: 0, planned_seconds: 0 })).toBe(0)
  })
})

it('steps through the usual spans, also from one between them', () => {
  expect([nextSpan(2 * HOUR, 1), nextSpan(2 * HOUR, -1)]).toEqual([6 * HOUR, HOUR / 2])
  expect([nextSpan(3 * HOUR, 1), nextSpan(3 * HOUR, -1)]).toEqual([6 * HOUR, 2 * HOUR])
  expect([nextSpan(30 * DAY, 1), nextSpan(HOUR / 2, -1)]).toEqual([30 * DAY, HOUR / 2])
})

it('shows a stretch with room on both sides', () => {
  expect([30_000, 10 * MINUTE, 11 * MINUTE, 20 * DAY].map(spanAround)).toEqual([
    30 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    30 * DAY,
  ])
})

describe('the address of playback', () => {
  it('comes back as it was written', () => {
    const state = {
      points: ['a', 'b'],
      at: noon,
      span: 2 * HOUR,
      clip: { start: noon, end: noon + 5_000 },
      source: 'device' as const,
    }
    expect(readPlayback(writePlayback(state))).toEqual(state)
    expect(readPlayback(writePlayback({ ...state, source: 'platform' })).source).toBe('platform')
  })
  it('survives nonsense', () => {
    const state = readPlayback(new URLSearchParams('points=a,,a,b&at=x&span=-3&clip=1~z'))
    expect(state).toEqual({ points: ['a', 'b'], at: null, span: NARROWEST, clip: null, source: 'platform' })
  })
})
