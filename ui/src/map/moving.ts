import { useEffect, useSyncExternalStore } from 'react'
import { request, type Query } from '../api/client'
import { onEvent, useStreamStatus } from '../api/events'
import type { Id, Move, Moving, Positions } from '../api/types'

/** The newest place of each point that tells where it is, of those that the filter of the map leaves. */
export class MovingTable {
  #points = new Map<Id, Moving>()
  readonly #listeners = new Set<() => void>()

  get(id: Id): Moving | undefined {
    return this.#points.get(id)
  }

  ids(): readonly Id[] {
    return [...this.#points.keys()]
  }

  points(): readonly Moving[] {
    return [...this.#points.values()]
  }

  /** These and no others; what is known to be newer stays. */
  replace(items: readonly Moving[]): void {
    const before = this.#points
    this.#points = new Map(
      items.map((item) => {
        const known = before.get(item.point)
        return [item.point, known && isNewer(known.received_at, item.received_at) ? known : item]
      }),
    )
    this.#tell()
  }

  /** Takes moves in, in any order; answers those of points that are not in the table. */
  apply(moves: readonly Move[]): readonly Id[] {
    const strangers: Id[] = []
    let moved = false
    for (const [id, longitude, latitude, direction, at] of moves) {
      const known = this.#points.get(id)
      if (!known) strangers.push(id)
      else if (isNewer(at, known.received_at)) {
        this.#points.set(id, { ...known, longitude, latitude, direction_deg: direction, received_at: at })
        moved = true
      }
    }
    if (moved) this.#tell()
    return strangers
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

function isNewer(at: string, than: string): boolean {
  return Date.parse(at) > Date.parse(than)
}

const RETRY_MS = 5_000

/**
 * Keeps the table complete: the stream names moves; for points that it has not heard of yet the server is asked, which
 * knows whether the filter leaves them. Those that it does not leave are not asked for again.
 */
export class MovingFeed {
  #query: Query | null = null
  #asking = false
  #askAgain = false
  #others = new Set<Id>()
  #heard = new Set<Id>()

  constructor(
    private readonly table: MovingTable,
    private readonly ask: (query: Query) => Promise<Positions | null>,
    private readonly retryMs = RETRY_MS,
  ) {}

  /** Whom to show; null: nobody, and nothing is asked. */
  show(query: Query | null): void {
    this.#query = query
    this.#others.clear()
    this.#heard.clear()
    this.table.replace([])
    if (query !== null) this.catchUp()
  }

  heard({ changes, many }: { changes: readonly Move[]; many?: number }): void {
    if (this.#query === null) return
    const strangers = this.table.apply(changes).filter((id) => !this.#others.has(id))
    for (const id of strangers) this.#heard.add(id)
    if (many || strangers.length > 0) this.catchUp()
  }

  /** One question at a time; asked meanwhile, it is asked once more afterwards. */
  catchUp(): void {
    if (this.#asking) {
      this.#askAgain = true
      return
    }
    this.#asking = true
    this.#askAgain = false
    void this.#ask().finally(() => {
      this.#asking = false
      if (this.#askAgain) this.catchUp()
    })
  }

  async #ask(): Promise<void> {
    const query = this.#query
    if (query === null) return
    const strangers = this.#heard
    this.#heard = new Set()
    const answer = await this.ask(query)
    if (this.#query !== query) {
      this.#askAgain = this.#query !== null
      return
    }
    if (answer === null) {
      setTimeout(() => {
        if (this.#query === query) this.catchUp()
      }, this.retryMs)
      return
    }
    this.table.replace(answer.items)
    for (const id of strangers) if (!this.table.get(id)) this.#others.add(id)
  }
}

export const moving = new MovingTable()
const feed = new MovingFeed(moving, async (query) => {
  const outcome = await request<Positions>('GET', '/positions', { query })
  if (outcome.kind === 'success') return outcome.value
  const refused = outcome.kind === 'error' && outcome.error.status >= 400 && outcome.error.status < 500
  return refused ? { items: [], truncated: false } : null
})
onEvent('position', (event) => feed.heard(event))
onEvent('points', () => feed.catchUp())
onEvent('lagged', () => feed.catchUp())

/** Shows what moves, by the filter of the tiles, while mounted; null: nothing. */
export function useMoving(query: Query | null): void {
  const live = useStreamStatus() === 'live'
  const key = query === null ? null : JSON.stringify(query)
  useEffect(() => {
    feed.show(key === null ? null : (JSON.parse(key) as Query))
    return () => feed.show(null)
  }, [key])
  useEffect(() => {
    if (live) feed.catchUp()
  }, [live])
}

/** Where a point said it was last, where it moves and is shown. */
export function useMoved(id: Id | null): Moving | undefined {
  return useSyncExternalStore(
    (listener) => moving.subscribe(listener),
    () => (id === null ? undefined : moving.get(id)),
  )
}
