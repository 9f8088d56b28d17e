import { describe, expect, it } from 'vitest'
import {
  areaOf,
  cornerAt,
  faultOf,
  isSimple,
  middleOf,
  MOST,
  moved,
  pointsOf,
  RECTANGLE,
  shifted,
  split,
  without,
  type Polygon,
} from './geometry'

describe('a mask', () => {
  it('keeps its corners inside the picture and on what the server rounds to', () => {
    expect(cornerAt(-0.2, 1.7)).toEqual([0, 1])
    expect(cornerAt(0.123456, 0.5)).toEqual([0.1235, 0.5])
    expect(moved(RECTANGLE, 2, [2, 0.61])[2]).toEqual([1, 0.61])
  })

  it('moves as a whole only as far as the picture reaches, and keeps its shape', () => {
    const right = shifted(RECTANGLE, 5, 0.1)
    expect(right).toEqual([
      [0.8, 0.5],
      [1, 0.5],
      [1, 0.7],
      [0.8, 0.7],
    ])
    expect(areaOf(right)).toBeCloseTo(areaOf(RECTANGLE), 9)
    expect(shifted(right, -5, -5)[0]).toEqual([0, 0])
  })

  it('gains a corner in the middle of an edge, and loses any but the last three', () => {
    expect(middleOf(RECTANGLE, 3)).toEqual([0.4, 0.5])
    const five = split(RECTANGLE, 3)
    expect(five).toHaveLength(5)
    expect(five[4]).toEqual([0.4, 0.5])
    expect(faultOf(five)).toBeNull()
    const three = without(without(five, 0), 0)
    expect(three).toHaveLength(3)
    expect(without(three, 1)).toBe(three)
    const full: Polygon = Array.from({ length: MOST }, (_, n) => {
      const angle = (n / MOST) * 2 * Math.PI
      return cornerAt(0.5 + 0.4 * Math.cos(angle), 0.5 + 0.4 * Math.sin(angle))
    })
    expect(faultOf(full)).toBeNull()
    expect(split(full, 1)).toBe(full)
  })

  it('says what is wrong with it before the server does', () => {
    expect(faultOf([])).toBe('few')
    expect(faultOf([...RECTANGLE, ...Array.from({ length: MOST }, (): [number, number] => [0, 0])])).toBe(
      'many',
    )
    expect(
      faultOf([
        [0, 0],
        [0.5, 0.5],
        [1, 1],
      ]),
    ).toBe('small')
    const crossings: Polygon[] = [
      [
        [0, 0],
        [1, 1],
        [1, 0],
        [0, 0.5],
      ],
      // a corner on another edge
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [0.5, 0],
        [0, 1],
      ],
      // back over the edge before
      [
        [0, 0],
        [1, 0],
        [0.5, 0],
        [0.5, 1],
      ],
    ]
    for (const crossing of crossings) expect(faultOf(crossing)).toBe('crosses')
  })

  it('may have corners on a straight line and be the whole picture', () => {
    const whole: Polygon = [
      [0, 0],
      [0.5, 0],
      [1, 0],
      [1, 1],
      [0, 1],
    ]
    expect(isSimple(whole)).toBe(true)
    expect(isSimple([...whole].reverse())).toBe(true)
    expect(faultOf(whole)).toBeNull()
  })

  it('is written for a picture of any size', () => {
    expect(pointsOf(RECTANGLE.slice(0, 2), 1280, 720)).toBe('512.0,288.0 768.0,288.0')
  })
})
