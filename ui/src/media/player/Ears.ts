import type { Id } from '../../api/types'

export interface Hearing {
  /** The one point that is heard; all others are silent. */
  heard: Id | null
  /** 0 to 1. */
  volume: number
}

const VOLUME_KEY = 'anwang.volume'
const STEP = 0.1
const AT_FIRST = 0.7

function kept(): number {
  const stored = Number(localStorage.getItem(VOLUME_KEY) ?? AT_FIRST)
  return stored >= 0 && stored <= 1 ? stored : AT_FIRST
}

/**
 * What a person listens to: nothing at first, then one picture at a time. The volume outlives the page, the choice does
 * not: a browser lets nothing sound before somebody has acted on the page. Knows nothing of React.
 */
export class Ears {
  #hearing: Hearing = { heard: null, volume: kept() }
  readonly #listeners = new Set<() => void>()

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
  readonly snapshot = (): Hearing => this.#hearing

  /** Hear this one instead of any other; silence where it was heard already. */
  toggle(point: Id): void {
    const { heard, volume } = this.#hearing
    // Whoever asks to hear a picture turned down to nothing would hear nothing.
    this.#set({ heard: heard === point ? null : point, volume: volume === 0 ? AT_FIRST : volume })
  }

  /** Its picture has gone. */
  leave(point: Id): void {
    if (this.#hearing.heard === point) this.#set({ ...this.#hearing, heard: null })
  }

  setVolume(volume: number): void {
    const bounded = Math.round(Math.max(0, Math.min(1, volume)) * 100) / 100
    localStorage.setItem(VOLUME_KEY, String(bounded))
    this.#set({ ...this.#hearing, volume: bounded })
  }
  louder(): void {
    this.setVolume(this.#hearing.volume + STEP)
  }
  softer(): void {
    this.setVolume(this.#hearing.volume - STEP)
  }

  #set(hearing: Hearing): void {
    this.#hearing = hearing
    for (const listener of this.#listeners) listener()
  }
}

/** Of this page. */
export const ears = new Ears()
