import { useEffect, useState, useSyncExternalStore, type RefObject } from 'react'
import { urlOf } from '../../api/client'
import type { Id, StreamName } from '../../api/types'
import { LivePlayer, NOTHING, type LiveSnapshot } from './LivePlayer'
import { showsH265 } from './messages'

interface LiveWish {
  point: Id
  stream: StreamName
  /** Converted by the server, although this browser says that it shows H.265. */
  asH264: boolean
}

const BETWEEN_MS = 120
let lastTurn = 0

/** How long to wait before asking, so that a wall does not ask sixteen devices at once. */
export function turn(now: number): number {
  lastTurn = Math.max(now, lastTurn + BETWEEN_MS)
  return lastTurn - now
}

export function liveUrl({ point, stream, asH264 }: LiveWish): string {
  const url = new URL(
    urlOf(`/points/${point}/live`, { stream, as: asH264 || !showsH265() ? 'h264' : null, flow: 'true' }),
    window.location.href,
  )
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}

const none: LiveSnapshot = {
  state: { is: 'idle' },
  parameters: null,
  metrics: NOTHING,
  firstPictureMs: null,
}
const nobody = () => () => undefined
const nothing = () => none

/** A live player on that video element as long as the component shows it; null wish: none. */
export function useLive(video: RefObject<HTMLVideoElement | null>, wish: LiveWish | null) {
  const url = wish === null ? null : liveUrl(wish)
  const [player, setPlayer] = useState<LivePlayer | null>(null)
  useEffect(() => {
    const element = video.current
    if (url === null || element === null) return
    const one = new LivePlayer(element, url)
    setPlayer(one)
    const timer = setTimeout(() => one.start(), turn(performance.now()))
    return () => {
      clearTimeout(timer)
      one.dispose()
      setPlayer(null)
    }
  }, [video, url])
  const snapshot = useSyncExternalStore(player?.subscribe ?? nobody, player?.snapshot ?? nothing)
  return { ...snapshot, again: () => player?.again() }
}
