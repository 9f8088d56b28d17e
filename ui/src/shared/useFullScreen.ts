import { useCallback, useEffect, useRef, useState } from 'react'

interface FullScreen {
  on: boolean
  enter: () => void
  leave: () => void
}

/**
 * The page alone on the whole screen. It is the document that fills it, not an element of the page: menus, messages and
 * drawers stand beside that element and would not be seen. What must make way goes by `:root:fullscreen` in the styles.
 * `onLeft`: also when the browser's own Escape has ended it. Leaving the page ends it.
 */
export function useFullScreen(onLeft?: () => void): FullScreen {
  const [on, setOn] = useState(() => document.fullscreenElement !== null)
  const left = useRef(onLeft)
  useEffect(() => {
    left.current = onLeft
  })
  const leave = useCallback(() => {
    if (document.fullscreenElement) void document.exitFullscreen()
  }, [])
  useEffect(() => {
    const changed = () => {
      setOn(document.fullscreenElement !== null)
      if (document.fullscreenElement === null) left.current?.()
    }
    document.addEventListener('fullscreenchange', changed)
    return () => {
      document.removeEventListener('fullscreenchange', changed)
      leave()
    }
  }, [leave])
  const enter = useCallback(() => {
    // a browser may refuse it, and says so in its own way
    document.documentElement.requestFullscreen().catch(() => undefined)
  }, [])
  return { on, enter, leave }
}
