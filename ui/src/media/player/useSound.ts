import { useEffect, useSyncExternalStore, type RefObject } from 'react'
import type { Id } from '../../api/types'
import { ears } from './Ears'

export interface Sound {
  audible: boolean
  volume: number
  toggle: () => void
  setVolume: (volume: number) => void
}

/** Whether this point's picture is the one that is heard; silent again when it goes. */
export function useSound(point: Id): Sound {
  const { heard, volume } = useSyncExternalStore(ears.subscribe, ears.snapshot)
  useEffect(() => () => ears.leave(point), [point])
  return {
    audible: heard === point,
    volume,
    toggle: () => ears.toggle(point),
    setVolume: (wanted) => ears.setVolume(wanted),
  }
}

/** Lets that element sound or be silent. */
export function useVoice(video: RefObject<HTMLVideoElement | null>, audible: boolean, volume: number): void {
  useEffect(() => {
    if (video.current === null) return
    video.current.muted = !audible
    video.current.volume = volume
  }, [video, audible, volume])
}
