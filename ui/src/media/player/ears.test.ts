import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Ears } from './Ears'

describe('what a person listens to', () => {
  beforeEach(() => localStorage.clear())

  it('is nothing at first, then one picture at a time', () => {
    const ears = new Ears()
    expect(ears.snapshot().heard).toBeNull()
    ears.toggle('gate')
    ears.toggle('yard')
    expect(ears.snapshot().heard).toBe('yard')
    ears.toggle('yard')
    expect(ears.snapshot().heard).toBeNull()
  })
  it('falls silent when that picture goes, and only then', () => {
    const ears = new Ears()
    ears.toggle('gate')
    ears.leave('yard')
    expect(ears.snapshot().heard).toBe('gate')
    ears.leave('gate')
    expect(ears.snapshot().heard).toBeNull()
  })
  it('keeps the volume between 0 and 1, over pages, and never asks for silence', () => {
    const ears = new Ears()
    for (let i = 0; i < 20; i++) ears.softer()
    expect(ears.snapshot().volume).toBe(0)
    expect(new Ears().snapshot()).toEqual({ heard: null, volume: 0 })
    ears.toggle('gate')
    expect(ears.snapshot().volume).toBeGreaterThan(0)
    ears.setVolume(7)
    expect(new Ears().snapshot().volume).toBe(1)
    localStorage.setItem('anwang.volume', 'loud')
    expect(new Ears().snapshot().volume).toBe(0.7)
  })
  it('tells who listens to it', () => {
    const ears = new Ears()
    const told = vi.fn()
    const off = ears.subscribe(told)
    ears.toggle('gate')
    ears.louder()
    off()
    ears.louder()
    expect(told).toHaveBeenCalledTimes(2)
  })
})
