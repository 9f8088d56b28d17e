import { describe, expect, it, vi } from 'vitest'
import type { StateChange, States } from '../api/types'
import { StateFeed, StateTable } from './liveState'

const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 12, 0, second)).toISOString()

describe('StateTable', () => {
  it('tells only of what became another state', () => {
    const table = new StateTable()
    const heard = vi.fn()
    table.subscribe(heard)
    expect(
      table.apply([
        ['a', 'online', at(1)],
        ['b', 'offline', at(1)],
      ]),
    ).toEqual(['a', 'b'])
    expect(table.apply([['a', 'online', at(2)]])).toEqual([])
    expect(heard).toHaveBeenCalledTimes(1)
    expect(table.get('a')).toEqual({ state: 'online', at: at(2) })
  })
  it('ignores what is older than what it knows, as a late snapshot is', () => {
    const table = new StateTable()
    table.apply([['a', 'offline', at(9)]])
    expect(table.apply([['a', 'online', at(3)]])).toEqual([])
    expect(table.get('a')?.state).toBe('offline')
  })
  it('ends the same whatever the order and however often told', () => {
    const changes: StateChange[] = [
      ['a', 'online', at(1)],
      ['a', 'offline', at(2)],
      ['a', 'unknown', at(3)],
      ['b', 'online', at(5)],
      ['b', 'offline', at(4)],
    ]
    for (let turn = 0; turn < changes.length; turn++) {
      const order = [...changes.slice(turn), ...changes.slice(0, turn), ...changes].reverse()
      const table = new StateTable()
      for (const change of order) table.apply([change])
      expect(table.get('a')?.state).toBe('unknown')
      expect(table.get('b')?.state).toBe('online')
    }
  })
  it('stops telling who stopped listening, and forgets on a restart', () => {
    const table = new StateTable()
    const heard = vi.fn()
    table.subscribe(heard)()
    table.apply([['a', 'online', at(1)]])
    expect(heard).not.toHaveBeenCalled()
    const restarted = vi.fn()
    table.onRestart(restarted)
    table.restart()
    expect(restarted).toHaveBeenCalledTimes(1)
    expect(table.size).toBe(0)
    expect(table.apply([['a', 'online', at(0)]])).toEqual(['a'])
  })
})

describe('StateFeed', () => {
  /** A server that answers when told to. */
  function setUp() {
    const table = new StateTable()
    const asked: (string | null)[] = []
    const answers: ((answer: States | null) => void)[] = []
    const feed = new StateFeed(
      table,
      (since) => {
        asked.push(since)
        return new Promise((resolve) => answers.push(resolve))
      },
      0,
    )
    const answer = async (value: Partial<States> | null) => {
      const next = answers.shift()
      if (!next) throw new Error('nobody asked')
      next(value && { changes: [], cursor: '', reset: false, truncated: false, ...value })
      await Promise.resolve()
      await new Promise((resolve) => setTimeout(resolve))
    }
    return { table, feed, asked, answer }
  }

  it('goes on from where the events brought it', async () => {
    const { feed, asked, answer, table } = setUp()
    void feed.catchUp()
    await answer({ cursor: '10' })
    feed.heard({ changes: [['a', 'offline', at(1)]], cursor: '11' })
    expect(table.get('a')?.state).toBe('offline')
    void feed.catchUp()
    expect(asked).toEqual([null, '11'])
  })
  it('asks when too many changed to be named', async () => {
    const { feed, asked, answer, table } = setUp()
    void feed.catchUp()
    await answer({ cursor: '10' })
    feed.heard({ changes: [], cursor: '90', many: 80_000 })
    expect(asked).toEqual([null, '10'])
    await answer({ cursor: '90', changes: [['a', 'unknown', at(1)]] })
    expect(table.get('a')?.state).toBe('unknown')
  })
  it('starts anew when its cursor is too old, keeping only what comes with the answer', async () => {
    const { feed, answer, table } = setUp()
    const restarted = vi.fn()
    table.onRestart(restarted)
    void feed.catchUp()
    await answer({ cursor: '10' })
    feed.heard({ changes: [['a', 'offline', at(1)]], cursor: '11' })
    void feed.catchUp()
    await answer({ cursor: '500', reset: true })
    expect(restarted).toHaveBeenCalledTimes(1)
    expect(table.size).toBe(0)
  })
  it('does not skip what an event brought between question and answer', async () => {
    const { feed, asked, answer } = setUp()
    void feed.catchUp()
    await answer({ cursor: '10' })
    void feed.catchUp()
    feed.heard({ changes: [], cursor: '12' })
    await answer({ cursor: '11' })
    void feed.catchUp()
    expect(asked).toEqual([null, '10', '11'])
  })
  it('asks one at a time, and once more for all who asked meanwhile', async () => {
    const { feed, asked, answer } = setUp()
    void feed.catchUp()
    void feed.catchUp()
    void feed.catchUp()
    expect(asked).toHaveLength(1)
    await answer({ cursor: '10' })
    expect(asked).toHaveLength(2)
    await answer({ cursor: '10' })
    expect(asked).toHaveLength(2)
  })
  it('asks again when nothing answered, and not for a person who left', async () => {
    const { feed, asked, answer, table } = setUp()
    void feed.catchUp()
    await answer(null)
    await vi.waitFor(() => expect(asked).toHaveLength(2))
    feed.forget()
    await answer({ cursor: '10', changes: [['secret', 'online', at(1)]] })
    expect(table.size).toBe(0)
  })
})
