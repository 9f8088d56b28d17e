import { describe, expect, it, vi } from 'vitest'
import type { Move, Moving, Positions } from '../api/types'
import { MovingFeed, MovingTable } from './moving'

const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 12, 0, second)).toISOString()
const car = (point: string, longitude: number, second: number): Moving => ({
  point,
  kind: 'camera',
  class: 1,
  state: 'online',
  longitude,
  latitude: 40,
  direction_deg: 90,
  received_at: at(second),
})
const move = (point: string, longitude: number, second: number): Move => [
  point,
  longitude,
  40,
  45,
  at(second),
]

describe('MovingTable', () => {
  it('follows what it knows, by the newest word, and names those it does not know', () => {
    const table = new MovingTable()
    const heard = vi.fn()
    table.replace([car('a', 91, 1)])
    table.subscribe(heard)
    expect(table.apply([move('a', 91.2, 5), move('b', 91, 5)])).toEqual(['b'])
    expect(table.get('a')).toMatchObject({
      longitude: 91.2,
      direction_deg: 45,
      received_at: at(5),
      kind: 'camera',
    })
    expect(table.apply([move('a', 91.1, 3)])).toEqual([])
    expect(table.get('a')?.longitude).toBe(91.2)
    expect(heard).toHaveBeenCalledTimes(1)
  })
  it('takes another list, but no older place', () => {
    const table = new MovingTable()
    table.replace([car('a', 91, 9), car('b', 91, 1)])
    table.replace([car('a', 90, 2), car('c', 92, 3)])
    expect(table.points().map(({ point, longitude }) => [point, longitude])).toEqual([
      ['a', 91],
      ['c', 92],
    ])
  })
})

describe('MovingFeed', () => {
  /** A server that answers when told to. */
  function server() {
    const asked: { query: unknown; answer: (found: Positions | null) => Promise<void> }[] = []
    const ask = (query: unknown) =>
      new Promise<Positions | null>((resolve) => {
        asked.push({
          query,
          answer: async (found) => {
            resolve(found)
            await vi.waitFor(() => Promise.resolve())
            await Promise.resolve()
          },
        })
      })
    return { asked, ask }
  }
  const found = (...items: Moving[]): Positions => ({ items, truncated: false })

  it('asks by the filter, and again for whom it has not heard of, but for nobody twice', async () => {
    const table = new MovingTable()
    const { asked, ask } = server()
    const feed = new MovingFeed(table, ask)
    feed.heard({ changes: [move('a', 91, 1)] })
    expect(asked).toHaveLength(0)
    feed.show({ kinds: 'camera' })
    expect(asked.map(({ query }) => query)).toEqual([{ kinds: 'camera' }])
    await asked[0]?.answer(found(car('a', 91, 1)))
    expect(table.ids()).toEqual(['a'])
    feed.heard({ changes: [move('a', 91.5, 2), move('sensor', 91, 2)] })
    expect(table.get('a')?.longitude).toBe(91.5)
    expect(asked).toHaveLength(2)
    await asked[1]?.answer(found(car('a', 91, 1)))
    expect(table.get('a')?.longitude).toBe(91.5)
    feed.heard({ changes: [move('sensor', 91.1, 3)] })
    expect(asked).toHaveLength(2)
    feed.heard({ changes: [move('sensor', 91.1, 3), move('new', 91, 3)] })
    expect(asked).toHaveLength(3)
    await asked[2]?.answer(found(car('a', 91, 1), car('new', 91, 3)))
    expect(table.ids()).toEqual(['a', 'new'])
    feed.heard({ changes: [], many: 5000 })
    expect(asked).toHaveLength(4)
  })
  it('forgets with another filter, and an answer to the one before is not taken', async () => {
    const table = new MovingTable()
    const { asked, ask } = server()
    const feed = new MovingFeed(table, ask)
    feed.show({ kinds: 'camera' })
    feed.show({ kinds: 'sensor' })
    await asked[0]?.answer(found(car('a', 91, 1)))
    expect(table.ids()).toEqual([])
    await vi.waitFor(() => expect(asked).toHaveLength(2))
    expect(asked[1]?.query).toEqual({ kinds: 'sensor' })
    await asked[1]?.answer(found(car('s', 91, 1)))
    expect(table.ids()).toEqual(['s'])
    feed.show(null)
    expect(table.ids()).toEqual([])
    feed.heard({ changes: [move('s', 92, 2)] })
    expect(asked).toHaveLength(2)
  })
  it('tries again where nobody answers', async () => {
    const { asked, ask } = server()
    const feed = new MovingFeed(new MovingTable(), ask, 1)
    feed.show({})
    await asked[0]?.answer(null)
    await vi.waitFor(() => expect(asked).toHaveLength(2))
  })
})
