import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { PtzCommand } from '../../api/types'
import { direction, PtzHold, RENEW_MS } from './ptz'
import {
  cellsOf,
  GRIDS,
  layoutOf,
  neighbour,
  nextFree,
  put,
  putAll,
  readWall,
  wallOf,
  withGrid,
  writeWall,
} from './wallState'
import { after, stepsOf } from './tour'

const read = (text: string) => readWall(new URLSearchParams(text))

describe('the wall', () => {
  it('has as many cells as its grid says, none over another', () => {
    for (const grid of GRIDS) {
      const { columns, cells } = cellsOf(grid)
      expect(cells).toHaveLength(grid)
      expect(cells.reduce((area, { span }) => area + span * span, 0)).toBe(columns * columns)
    }
  })
  it('reads a deep link and writes its state into the address', () => {
    expect(read('points=a,b,c')).toMatchObject({ grid: 4, tiles: ['a', 'b', 'c', null] })
    expect(read('')).toMatchObject({ grid: 4, selected: 0, big: false })
    const state = { ...read('points=a,,c&grid=6'), selected: 2, big: true }
    expect(readWall(writeWall(state))).toEqual(state)
    expect(read('points=a,a&grid=77&tile=99')).toMatchObject({
      grid: 4,
      tiles: ['a', null, null, null],
      selected: 3,
    })
  })
  it('fills free tiles and never shows one camera twice', () => {
    const state = read('points=a,b&grid=4')
    expect(nextFree(state)).toBe(2)
    expect(put(state, 3, 'a').tiles).toEqual([null, 'b', null, 'a'])
    expect(put(state, 0, 'b').tiles).toEqual(['b', 'a', null, null])
    const all = putAll(state, ['c', 'd', 'e', 'f', 'g'])
    expect(all.grid).toBe(8)
    expect(all.tiles.filter((id) => id !== null)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g'])
  })
  it('keeps streams chosen by hand, in the address and in a layout', () => {
    const state = read('points=a~sub,b,c~third&grid=4')
    expect(state).toMatchObject({ tiles: ['a', 'b', 'c', null], streams: { a: 'sub' } })
    expect(readWall(writeWall(state))).toEqual(state)
    const kept = layoutOf(state)
    expect(kept.tiles[0]).toEqual({ point: 'a', stream: 'sub' })
    expect(kept.tiles[1]).toEqual({ point: 'b', stream: 'auto' })
    expect(wallOf(kept)).toEqual(state)
    expect(wallOf({ grid: 77, tiles: [] }).tiles).toHaveLength(16)
  })
  it('closes up when a smaller grid would hide a picture that fits', () => {
    expect(withGrid(read('points=a,,,,,,,,b&grid=9'), 4).tiles).toEqual(['a', 'b', null, null])
  })
  it('moves the selection by where tiles are', () => {
    expect(neighbour(9, 4, 1, 0)).toBe(5)
    expect(neighbour(9, 4, 0, -1)).toBe(1)
    expect(neighbour(9, 0, -1, 0)).toBe(0)
  })
})

describe('a tour', () => {
  const layout = (id: string) =>
    ({ id, name: id, grid: 1, tiles: [], shared: false, owner: { id: 'o', name: 'o' }, mine: true }) as const
  const tour = {
    id: 't',
    name: 't',
    shared: false,
    owner: { id: 'o', name: 'o' },
    mine: true,
    steps: [
      { layout: 'a', seconds: 5 },
      { layout: 'gone', seconds: 5 },
      { layout: 'b', seconds: 20 },
    ],
  }
  it('passes over layouts that are gone and goes round', () => {
    const steps = stepsOf(
      tour,
      [layout('a'), layout('b')].map((one) => ({ ...one, tiles: [] })),
    )
    expect(steps.map((one) => [one.layout.id, one.seconds])).toEqual([
      ['a', 5],
      ['b', 20],
    ])
    expect([after(0, 1, 2), after(1, 1, 2), after(0, -1, 2)]).toEqual([1, 0, 1])
  })
})

describe('PTZ', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('renews while held and stops on release', async () => {
    const sent: PtzCommand[] = []
    const hold = new PtzHold((command) => (sent.push(command), Promise.resolve(true)))
    hold.hold({ act: 'move', pan: 1 })
    await vi.advanceTimersByTimeAsync(RENEW_MS * 2)
    hold.release()
    await vi.advanceTimersByTimeAsync(RENEW_MS * 3)
    expect(sent.map((one) => one.act)).toEqual(['move', 'move', 'move', 'stop'])
  })
  it('does not repeat what was refused, and still sends stop', async () => {
    const sent: string[] = []
    const hold = new PtzHold((command) => (sent.push(command.act), Promise.resolve(false)))
    hold.hold({ act: 'focus_near' })
    await vi.advanceTimersByTimeAsync(RENEW_MS * 5)
    hold.release()
    expect(sent).toEqual(['focus_near', 'lens_stop'])
  })
  it('adds up keys held together', () => {
    expect(direction(new Set(['ArrowUp', 'ArrowLeft', '+']))).toEqual({ pan: -1, tilt: 1, zoom: 1 })
    expect(direction(new Set(['ArrowUp', 'ArrowDown']))).toMatchObject({ tilt: 0 })
  })
})
