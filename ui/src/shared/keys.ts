import { useEffect, useRef, useSyncExternalStore } from 'react'

export interface KeyBinding {
  /** As shown and matched: `?`, `Escape`, `Ctrl+K`, `g 1` (one after the other). */
  keys: string
  /** What it does, in the reader's language. */
  label: string
  run: (event: KeyboardEvent) => void
  /** Also works while typing in a field. */
  always?: boolean
  /** A second key for the same thing: works, but the overlay lists it once. */
  again?: boolean
}

interface Group {
  title: string
  bindings: KeyBinding[]
}

let groups: readonly Group[] = []
const listeners = new Set<() => void>()

function changed(next: readonly Group[]) {
  groups = next
  for (const listener of listeners) listener()
}

const SEQUENCE_MS = 1_200
let prefix = ''
let prefixAt = 0

export function keyName(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  const ctrl = event.ctrlKey || event.metaKey
  return `${ctrl ? 'Ctrl+' : ''}${event.altKey ? 'Alt+' : ''}${key === ' ' ? 'Space' : key}`
}

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase()

export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return
  const name = keyName(event)
  const inField = typing(event.target)
  const now = performance.now()
  const sequence = prefix !== '' && now - prefixAt < SEQUENCE_MS ? `${prefix} ${name}` : name
  // The newest group wins, so that an open dialog's Escape comes before the page's.
  for (const group of [...groups].reverse()) {
    for (const binding of group.bindings) {
      if (inField && !binding.always) continue
      if (same(binding.keys, sequence) || same(binding.keys, name)) {
        prefix = ''
        event.preventDefault()
        binding.run(event)
        return
      }
    }
  }
  const starts = groups.some((group) => group.bindings.some((b) => same(b.keys.split(' ')[0] ?? '', name)))
  prefix = starts && !inField ? name : ''
  prefixAt = now
}

/** Binds keys while the component is mounted; they show up under `title` in the `?` overlay. */
export function useKeys(title: string, bindings: KeyBinding[]): void {
  const latest = useRef(bindings)
  useEffect(() => {
    latest.current = bindings
  })
  const shape = bindings.map((b) => `${b.keys}\n${b.label}`).join('\n\n')
  useEffect(() => {
    const group: Group = {
      title,
      bindings: latest.current.map((binding, index) => ({
        ...binding,
        run: (event) => latest.current[index]?.run(event),
      })),
    }
    if (groups.length === 0) window.addEventListener('keydown', onKeyDown)
    changed([...groups, group])
    return () => {
      changed(groups.filter((other) => other !== group))
      if (groups.length === 0) window.removeEventListener('keydown', onKeyDown)
    }
  }, [title, shape])
}

export function useKeyGroups(): readonly Group[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => groups,
  )
}
