import { useEffect, useRef, useSyncExternalStore } from 'react'

export interface KeyBinding {
  /** As shown and matched: `?`, `Escape`, `Ctrl+K`, `g 1` (one after the other). */
  keys: string
  /** What it does, in the reader's language. */
  label: string
  run: (event: KeyboardEvent) => void
  /** Also works while typing in a field, and in a dialog. */
  always?: boolean
  /** Also works in a dialog. */
  inDialogs?: boolean
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

/** Enter and Space belong to what the keyboard has gone to, where that can be pressed; a click left no such wish. */
function presses(target: Element, name: string): boolean {
  if (name !== 'Enter' && name !== 'Space') return false
  return target.matches('button, a[href], summary, [role="button"]') && target.matches(':focus-visible')
}

/** What opens over a page. Menus and the like may stand open while the focus is elsewhere. */
const MENUS = '.ant-popover:not(.ant-popover-hidden), .ant-dropdown:not(.ant-dropdown-hidden)'
const OVER = `.ant-modal, .ant-drawer, ${MENUS}`

/** Its keys are its own: Escape closes it, and nothing behind it. */
function belongsOver(target: Element | null, name: string): boolean {
  if (target?.closest(OVER)) return true
  return name === 'Escape' && document.querySelector(MENUS) !== null
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return
  const name = keyName(event)
  const target = event.target instanceof Element ? event.target : null
  if (target && presses(target, name)) return
  const inField = typing(event.target)
  const inDialog = belongsOver(target, name)
  const now = performance.now()
  const sequence = prefix !== '' && now - prefixAt < SEQUENCE_MS ? `${prefix} ${name}` : name
  // The newest group wins, so that an open dialog's Escape comes before the page's.
  for (const group of [...groups].reverse()) {
    for (const binding of group.bindings) {
      if (inField && !binding.always) continue
      if (inDialog && !binding.always && !binding.inDialogs) continue
      if (same(binding.keys, sequence) || same(binding.keys, name)) {
        prefix = ''
        event.preventDefault()
        binding.run(event)
        return
      }
    }
  }
  const starts = groups.some((group) => group.bindings.some((b) => same(b.keys.split(' ')[0] ?? '', name)))
  prefix = starts && !inField && !inDialog ? name : ''
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
