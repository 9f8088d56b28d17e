import { useSyncExternalStore } from 'react'
import { onEvent } from '../api/events'
import type { Note } from '../api/types'

const KEPT = 60
/** Notes of one cause within this time are one line. */
const TOGETHER_MS = 10 * 60_000

export interface GroupedNote extends Note {
  /** How many notes this line stands for. */
  times: number
  /** Of how many points (or other things) they tell. */
  things: number
}

let kept: readonly Note[] = []
let grouped: readonly GroupedNote[] = []
const listeners = new Set<() => void>()

/** Newest first; one cause, one line. */
export function groupNotes(notes: readonly Note[]): GroupedNote[] {
  const out: GroupedNote[] = []
  const told = new Map<GroupedNote, Set<unknown>>()
  for (const note of notes) {
    const same = out.find(
      (other) =>
        (note.cause !== null ||
          (other.params.id === note.params.id && other.params.device === note.params.device)) &&
        other.cause === note.cause &&
        other.text === note.text &&
        Math.abs(Date.parse(other.at) - Date.parse(note.at)) <= TOGETHER_MS,
    )
    if (same) {
      same.times += 1
      same.things = told.get(same)?.add(note.params.id).size ?? 1
    } else {
      const line = { ...note, times: 1, things: 1 }
      told.set(line, new Set([note.params.id]))
      out.push(line)
    }
  }
  return out
}

export function clearNotes(): void {
  kept = []
  grouped = []
}

onEvent('note', (note) => {
  if (
    kept.some(
      (other) => other.at === note.at && other.text === note.text && other.params.id === note.params.id,
    )
  )
    return
  kept = [note, ...kept].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, KEPT)
  grouped = groupNotes(kept)
  for (const listener of listeners) listener()
})

export function useNotes(): readonly GroupedNote[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => grouped,
  )
}
