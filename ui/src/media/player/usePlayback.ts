import { useCallback, useEffect, useState, useSyncExternalStore, type RefObject } from 'react'
import type { Id } from '../../api/types'
import type { MasterClock } from './MasterClock'
import { PlaybackPlayer, type PlaybackState, type Tracks } from './PlaybackPlayer'

const loading: PlaybackState = { is: 'loading' }
const nobody = () => () => undefined
const nothing = () => loading
const unknown: Tracks = { codec: null, convertedFrom: null, masked: false, sound: null }
const untold = () => unknown

/** The recordings of a point on that video element, led by a clock, as long as the component shows it. */
export function usePlayback(video: RefObject<HTMLVideoElement | null>, point: Id, clock: MasterClock) {
  const [player, setPlayer] = useState<PlaybackPlayer | null>(null)
  useEffect(() => {
    const element = video.current
    if (element === null) return
    const one = new PlaybackPlayer(element, point, clock)
    setPlayer(one)
    one.start()
    return () => {
      one.dispose()
      setPlayer(null)
    }
  }, [video, point, clock])
  const state = useSyncExternalStore(player?.subscribe ?? nobody, player?.snapshot ?? nothing)
  const tracks = useSyncExternalStore(player?.subscribe ?? nobody, player?.tracks ?? untold)
  const again = useCallback(() => player?.again(), [player])
  const frame = useCallback((by: number) => player?.frame(by) ?? null, [player])
  return { state, tracks, again, frame }
}
