import { useSyncExternalStore } from 'react'

const KEY = 'anwang.mark'
const listeners = new Set<() => void>()

const read = (): boolean => localStorage.getItem(KEY) === 'on'
const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

/** Whether who takes a picture or clip, when, and of which unit is drawn on it. */
export const marks = {
  get on(): boolean {
    return read()
  },
  set(on: boolean): void {
    localStorage.setItem(KEY, on ? 'on' : 'off')
    for (const listener of listeners) listener()
  },
}

export const useMarks = (): boolean => useSyncExternalStore(subscribe, read)
