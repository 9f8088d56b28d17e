import { describe, expect, it } from 'vitest'
import {
  boundsOf,
  circle,
  cone,
  contains,
  metresBetween,
  outline,
  readArea,
  towards,
  writeArea,
  type Area,
  type Position,
} from './areas'
import { scaleBar } from './MapTools'
import { readRing } from './symbols'

const box: Area = { shape: 'box', west: 93.1, south: 38.3, east: 93.2, north: 38.4 }
const polygon: Area = {
  shape: 'polygon',
  corners: [
    [0, 0],
    [4, 0],
    [4, 4],
    [2, 1],
    [0, 4],
  ],
}
const near: Area = { shape: 'near', centre: [93.19, 38.38], metres: 500 }

describe('areas in the address', () => {
  it.each([box, polygon, near])('come back as they went', (area) => {
    expect(readArea(writeArea(area))).toEqual(area)
  })
  it.each([
    null,
    '',
    'box:1,2,3',
    'box:3,2,1,4',
    'box:1,2,3,4,5;6',
    'near:1,2,0',
    'near:1,2',
    'polygon:0,0;1,1',
    'polygon:0,0;1;2,2',
    'box:1,2,x,4',
    'circle:1,2,3',
    'polygon:..,1;2,2;3,3',
  ])('takes %s for no area', (text) => expect(readArea(text)).toBeNull())
})

describe('contains', () => {
  it('knows a dent in a polygon', () => {
    expect(contains(polygon, [2, 0.5])).toBe(true)
    expect(contains(polygon, [2, 2])).toBe(false)
    expect(contains(polygon, [0.5, 2])).toBe(true)
    expect(contains(polygon, [5, 2])).toBe(false)
  })
  it('measures metres on the ground, not degrees', () => {
    expect(contains(near, towards(near.centre, 90, 499))).toBe(true)
    expect(contains(near, towards(near.centre, 90, 501))).toBe(false)
    expect(contains(near, towards(near.centre, 0, 501))).toBe(false)
  })
  it('has every point it contains within its bounds', () => {
    for (const area of [box, polygon, near]) {
      const [west, south, east, north] = boundsOf(area)
      for (let i = 0; i < 400; i++) {
        const at: Position = [
          west + ((east - west) * (i % 20)) / 19,
          south + ((north - south) * Math.floor(i / 20)) / 19,
        ]
        if (contains(area, at))
          expect(at[0] >= west && at[0] <= east && at[1] >= south && at[1] <= north).toBe(true)
      }
    }
  })
})

describe('shapes', () => {
  it('go the distance they say', () => {
    expect(metresBetween([0, 0], [0, 1])).toBeCloseTo(111_195, -1)
    for (const bearing of [0, 77, 180, 311])
      expect(metresBetween([93, 38], towards([93, 38], bearing, 800))).toBeCloseTo(800, 0)
  })
  it('are closed', () => {
    for (const ring of [outline(box), outline(polygon), cone([93, 38], 350, 60, 100)])
      expect(ring[0]).toEqual(ring.at(-1))
    const round = circle([93, 38], 500)
    expect(metresBetween(round[0] as Position, round.at(-1) as Position)).toBeLessThan(0.001)
  })
  it('fan out around the heading, also across north', () => {
    const fan = cone([93, 38], 0, 60, 100)
    const arc = fan.slice(1, -1)
    expect(arc[0]?.[0]).toBeLessThan(93)
    expect(arc.at(-1)?.[0]).toBeGreaterThan(93)
    expect(arc.every(([, y]) => y > 38)).toBe(true)
  })
})

it('draws the longest round scale that fits', () => {
  expect(scaleBar(1)).toEqual({ metres: 50, px: 50 })
  expect(scaleBar(30).metres).toBe(2_000)
  for (const ratio of [0.2, 1, 7, 33, 150, 9_000]) expect(scaleBar(ratio).px).toBeLessThanOrEqual(90)
})

describe('ring names', () => {
  it('are read, and refused when they make no sense', () => {
    expect(readRing('ring-48-38-2')).toEqual({ size: 48, online: 38, offline: 2 })
    for (const name of ['ring-48-38-3', 'ring-0-1-1', 'ring-4000-1-1', 'ring-48-38', 'point-camera'])
      expect(readRing(name)).toBeNull()
  })
})
