import { useSyncExternalStore } from 'react'
import { applyTokens, type ThemeName } from './tokens'

const KEY = 'anwang.theme'
const listeners = new Set<() => void>()

function stored(): ThemeName {
  try {
    return localStorage.getItem(KEY) === 'light' ? 'light' : 'dark'
  } catch {
    return 'dark'
  }
}

let current: ThemeName = stored()

export function setTheme(theme: ThemeName): void {
  current = theme
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // A browser without storage still shows the theme until it is closed.
  }
  applyTokens(theme)
  for (const listener of listeners) listener()
}

export function startTheme(): void {
  applyTokens(current)
}

export function useTheme(): ThemeName {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => current,
  )
}
