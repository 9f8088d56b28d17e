import { afterEach } from 'vitest'
import { cleanup, configure } from '@testing-library/react'

// Waiting ends as soon as the thing appears; a busy machine must not make it fail.
configure({ asyncUtilTimeout: 10_000 })

// jsdom knows neither of these; the components only need them to exist.
if (typeof window !== 'undefined' && !('matchMedia' in window && typeof window.matchMedia === 'function')) {
  Object.defineProperty(window, 'matchMedia', {
    value: (query: string) => ({
      matches: false,
      media: query,
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
      addListener: () => undefined,
      removeListener: () => undefined,
      dispatchEvent: () => false,
    }),
  })
}
class NoResize {
  observe() {
    return undefined
  }
  unobserve() {
    return undefined
  }
  disconnect() {
    return undefined
  }
}
if (!('ResizeObserver' in globalThis))
  Object.defineProperty(globalThis, 'ResizeObserver', { value: NoResize })

afterEach(cleanup)
