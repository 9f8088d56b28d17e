/** How far a fragmented MP4 has come, read from its boxes while it is being downloaded (ISO/IEC 14496-12). */
export class FragmentReader {
  readonly #timescale: number
  /** Bytes of the present top-level box that are still to come, and of a `moof` those that have. */
  #left = 0
  #moof: number[] | null = null
  #head: number[] = []
  #ms = 0

  /** Our fragmenter writes 90 kHz. */
  constructor(timescale = 90_000) {
    this.#timescale = timescale
  }

  /** Milliseconds of picture so far. */
  get ms(): number {
    return this.#ms
  }

  take(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#left > 0) {
        const part = Math.min(this.#left, bytes.length - at)
        if (this.#moof) for (let n = 0; n < part; n++) this.#moof.push(bytes[at + n] ?? 0)
        this.#left -= part
        at += part
        if (this.#left === 0 && this.#moof) this.#read(this.#moof)
        continue
      }
      this.#head.push(bytes[at] ?? 0)
      at += 1
      if (this.#head.length < 8) continue
      const [a = 0, b = 0, c = 0, d = 0, ...kind] = this.#head
      this.#head = []
      this.#left = Math.max(0, a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d - 8)
      this.#moof = String.fromCharCode(...kind) === 'moof' && this.#left < 1 << 20 ? [] : null
    }
  }

  /** The first `tfdt` inside: the picture's decoding time. */
  #read(moof: number[]): void {
    const tag = [0x74, 0x66, 0x64, 0x74]
    for (let n = 0; n + 12 < moof.length; n++) {
      if (!tag.every((byte, m) => moof[n + m] === byte)) continue
      const long = moof[n + 4] === 1
      let ticks = 0
      for (let m = 0; m < (long ? 8 : 4); m++) ticks = ticks * 256 + (moof[n + 8 + m] ?? 0)
      this.#ms = Math.max(this.#ms, (ticks / this.#timescale) * 1000)
      return
    }
  }
}
