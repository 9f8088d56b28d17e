/** One clock for all tiles of a playback page: wall-clock time in ms, moving at a rate or standing still. */
export class MasterClock {
  readonly #now: () => number
  readonly #listeners = new Set<() => void>()
  readonly #waiting = new Set<object>()
  #at: number
  #since: number
  #rate = 1
  #running = false
  #version = 0

  constructor(at: number, now: () => number = () => performance.now()) {
    this.#now = now
    this.#at = at
    this.#since = now()
  }

  /** Where playback is. Never later than `now`: there is no picture of the future. */
  get at(): number {
    if (!this.moving) return this.#at
    return this.#at + (this.#now() - this.#since) * this.#rate
  }
  get rate(): number {
    return this.#rate
  }
  /** Somebody pressed play; it may still stand because a tile waits for data. */
  get running(): boolean {
    return this.#running
  }
  get moving(): boolean {
    return this.#running && this.#waiting.size === 0
  }
  get held(): boolean {
    return this.#waiting.size > 0
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
  /** Changes whenever it is played, paused, sought or given another rate. */
  readonly version = (): number => this.#version

  play(): void {
    this.#change(() => (this.#running = true))
  }
  pause(): void {
    this.#change(() => (this.#running = false))
  }
  seek(at: number): void {
    this.#change(() => (this.#at = at))
  }
  setRate(rate: number): void {
    this.#change(() => (this.#rate = rate))
  }

  /** A tile that has to load makes all of them wait, so that they stay together. */
  hold(who: object): void {
    if (!this.#waiting.has(who)) this.#change(() => this.#waiting.add(who))
  }
  release(who: object): void {
    if (this.#waiting.has(who)) this.#change(() => this.#waiting.delete(who))
  }

  #change(act: () => void): void {
    this.#at = this.at
    this.#since = this.#now()
    act()
    this.#since = this.#now()
    this.#version += 1
    for (const listener of this.#listeners) listener()
  }
}

export const KEY_FRAMES_ABOVE = 4
const JUMP_MS = 1_200
const NUDGE_MS = 60

export interface Correction {
  seek: boolean
  rate: number
}

/** What a tile that is `drift` ms ahead of the clock (behind: negative) does about it at that rate. */
export function correct(drift: number, rate: number): Correction {
  // A seek costs time in which the clock runs on: at high rates more drift is tolerable than at rest.
  if (Math.abs(drift) > JUMP_MS * Math.max(1, rate)) return { seek: true, rate }
  if (Math.abs(drift) <= NUDGE_MS * Math.max(1, rate)) return { seek: false, rate }
  const share = Math.max(-0.25, Math.min(0.25, drift / 2_000 / Math.max(1, rate)))
  return { seek: false, rate: rate * (1 - share) }
}
