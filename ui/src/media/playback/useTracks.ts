import { useCallback, useRef, useState } from 'react'
import type { Tracks } from '../player/PlaybackPlayer'

/** What a replayed picture tells of itself, for what stands around it. */
export function useTracks() {
  const [tracks, setTracks] = useState<Tracks | null>(null)
  const load = useRef<(() => void) | null>(null)
  const onTracks = useCallback((told: Tracks, again: () => void) => {
    setTracks(told)
    load.current = again
  }, [])
  const again = useCallback(() => load.current?.(), [])
  return { tracks, onTracks, again }
}
