import { useEffect, useSyncExternalStore } from 'react'
import { request } from '../api/client'
import { onEvent, useStreamStatus } from '../api/events'
import type { Id, PointState, StateChange, States } from '../api/types'

export interface LiveState {
  state: PointState
  at: string
}

/**
 * What changed since the page was opened: the newest state of each point that moved. Records and tiles say how the
 * others are. Changes may come late, twice or out of order: only what is newer than what is known counts.
 */
export class StateTable {
  readonly #states = new Map<Id, LiveState>()
  readonly #listeners = new Set<(ids: readonly Id[]) => void>()
  readonly #restarts = new Set<() => void>()

  get size(): number {
    return this.#states.size
  }

  get(id: Id): LiveState | undefined {
    return this.#states.get(id)
  }

  entries(): IterableIterator<[Id, LiveState]> {
    return this.#states.entries()
  }

  /** Takes changes in; answers the ids whose state is now another, and tells the listeners. */
  apply(changes: readonly StateChange[]): readonly Id[] {
    const changed: Id[] = []
    for (const [id, state, at] of changes) {
      const known = this.#states.get(id)
      if (known && Date.parse(known.at) >= Date.parse(at)) continue
      this.#states.set(id, { state, at })
      if (known?.state !== state) changed.push(id)
    }
    if (changed.length > 0) for (const listener of this.#listeners) listener(changed)
    return changed
  }

  /** Forgets all: something was missed, so what records and tiles say after this is newer. */
  restart(): void {
    this.#states.clear()
    for (const listener of this.#restarts) listener()
  }

  subscribe(listener: (ids: readonly Id[]) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  onRestart(listener: () => void): () => void {
    this.#restarts.add(listener)
    return () => {
      this.#restarts.delete(listener)
    }
  }
}

const RETRY_MS = 5_000

/**
 * Keeps a table complete by cursor: the stream names changes, and where it cannot (too many at once, a break, events
 * lost) the server is asked for what came after the last cursor; if that is too old, the table starts anew.
 */
export class StateFeed {
  #cursor: string | null = null
  #asking: Promise<void> | null = null
  #askAgain = false
  #generation = 0

  constructor(
    private readonly table: StateTable,
    private readonly ask: (since: string | null) => Promise<States | null>,
    private readonly retryMs = RETRY_MS,
  ) {}

  heard({
    changes,
    cursor,
    many,
  }: {
    changes: readonly StateChange[]
    cursor?: string
    many?: number
  }): void {
    this.table.apply(changes)
    // An event between asking and answer does not move the cursor: the answer's is of an earlier moment, and repeating
    // a change is harmless, skipping one is not.
    if (many) void this.catchUp()
    else if (cursor !== undefined && this.#cursor !== null && !this.#asking) this.#cursor = cursor
  }

  /** One question at a time; asked meanwhile, it is asked once more afterwards. */
  catchUp(): Promise<void> {
    if (this.#asking) {
      this.#askAgain = true
      return this.#asking
    }
    this.#asking = this.#ask().finally(() => {
      this.#asking = null
      if (!this.#askAgain) return
      this.#askAgain = false
      void this.catchUp()
    })
    return this.#asking
  }

  forget(): void {
    this.#generation += 1
    this.#cursor = null
    this.table.restart()
  }

  async #ask(): Promise<void> {
    const generation = this.#generation
    const answer = await this.ask(this.#cursor)
    if (generation !== this.#generation) return
    if (answer === null) {
      setTimeout(() => {
        if (generation === this.#generation) void this.catchUp()
      }, this.retryMs)
      return
    }
    // Without a cursor nobody knows since when the table misses something.
    if (answer.reset || (this.#cursor === null && this.table.size > 0)) this.table.restart()
    this.#cursor = answer.cursor
    this.table.apply(answer.changes)
  }
}

export const liveStates = new StateTable()
const feed = new StateFeed(liveStates, async (since) => {
  const outcome = await request<States>('GET', '/states', { query: { since } })
  if (outcome.kind === 'success') return outcome.value
  const refused = outcome.kind === 'error' && outcome.error.status >= 400 && outcome.error.status < 500
  // A refusal does not pass by itself: nothing more is asked until the next event or break.
  return refused ? { changes: [], cursor: since ?? '', reset: false, truncated: false } : null
})
onEvent('state', (event) => feed.heard(event))
onEvent('lagged', () => void feed.catchUp())

/** On signing out: the next person reads their own. */
export function forgetStates(): void {
  feed.forget()
}

/** Keeps the table complete while mounted: what was missed is read on opening and after every break of the stream. */
export function useLiveStates(): void {
  const live = useStreamStatus() === 'live'
  useEffect(() => {
    if (live) void feed.catchUp()
  }, [live])
}

/** The state of one point: what the stream said last, or else what its record said. */
export function useLiveState(id: Id, recorded: PointState): PointState {
  const state = useSyncExternalStore(
    (listener) => {
      const stopChanges = liveStates.subscribe((ids) => ids.includes(id) && listener())
      const stopRestarts = liveStates.onRestart(listener)
      return () => {
        stopChanges()
        stopRestarts()
      }
    },
    () => liveStates.get(id)?.state,
  )
  return state ?? recorded
}
