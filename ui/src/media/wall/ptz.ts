import type { PtzCommand } from '../../api/types'

export type Send = (command: PtzCommand) => Promise<boolean>

export const RENEW_MS = 1_000
/** The device stops by itself when a renewal is missed: a lost connection must not leave a camera turning. */
export const DEADMAN_MS = 2_500

/** A movement that lasts as long as a key or button is held. Release always sends stop. */
export class PtzHold {
  readonly #send: Send
  #timer: ReturnType<typeof setInterval> | null = null
  #stop: PtzCommand | null = null

  constructor(send: Send) {
    this.#send = send
  }

  get held(): boolean {
    return this.#timer !== null
  }

  hold(command: PtzCommand): void {
    const stop: PtzCommand = { act: command.act === 'move' ? 'stop' : 'lens_stop' }
    if (this.#stop && this.#stop.act !== stop.act) this.release()
    this.#clear()
    this.#stop = stop
    const timed = { ...command, ms: DEADMAN_MS }
    void this.#begin(timed)
    this.#timer = setInterval(() => void this.#send(timed), RENEW_MS)
  }

  release(): void {
    this.#clear()
    const stop = this.#stop
    this.#stop = null
    if (stop) void this.#send(stop)
  }

  async #begin(command: PtzCommand): Promise<void> {
    // Refused (somebody else holds it): renewing would only repeat the refusal.
    if (!(await this.#send(command))) this.#clear()
  }

  #clear(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }
}

/** Pan and tilt of the keys held at one time; opposite keys cancel out. */
export function direction(keys: ReadonlySet<string>): { pan: number; tilt: number; zoom: number } {
  const one = (plus: string, minus: string) => Number(keys.has(plus)) - Number(keys.has(minus))
  return {
    pan: one('ArrowRight', 'ArrowLeft'),
    tilt: one('ArrowUp', 'ArrowDown'),
    zoom: Number(keys.has('+') || keys.has('=')) - Number(keys.has('-') || keys.has('_')),
  }
}
