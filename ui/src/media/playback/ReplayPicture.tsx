import { Button } from 'antd'
import { useEffect, useRef, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { Id } from '../../api/types'
import { clock as clockText } from '../../shared/format'
import { lacksApproval, useGoesOn, useReasons } from '../../governance/reasons/useReasons'
import { useCan } from '../../governance/session'
import type { MasterClock } from '../player/MasterClock'
import { windowFrom, type Tracks } from '../player/PlaybackPlayer'
import { usePlayback } from '../player/usePlayback'
import { useVoice, type Sound } from '../player/useSound'
import { VideoFace } from '../tile/VideoFace'
import { Watermark } from '../tile/Watermark'
import { said } from '../../said/said'

const DAY_MS = 86_400_000

interface ReplayPictureProps {
  point: Id
  name: string
  clock: MasterClock
  sound: Sound
  /** Told what is being played, when it is known or changes, and how to have it loaded anew. */
  onTracks: (tracks: Tracks, again: () => void) => void
  /** Told how to find the frame so many frames from the one shown: its wall time, null where that is not known. */
  onFrames?: (frame: (by: number) => number | null) => void
  /** Why nothing is recorded where the clock stands, as far as the time axis knows. */
  gap?: { text: string; detail: string | null } | null
  /** Offered in a gap besides going on after it: the nearest recording. */
  offers?: ReactNode
}

/** A recorded picture led by a clock, with its faces. */
export function ReplayPicture({
  point,
  name,
  clock,
  sound,
  onTracks,
  onFrames,
  gap = null,
  offers,
}: ReplayPictureProps) {
  const { t } = useTranslation()
  const video = useRef<HTMLVideoElement>(null)
  const { state, tracks, again, frame } = usePlayback(video, point, clock)
  const giveReason = useGoesOn(state.is === 'refused' ? state : null, again)
  const { approve } = useReasons()
  const can = useCan()
  useVoice(video, sound.audible, sound.volume)
  useEffect(() => onTracks(tracks, again), [tracks, again, onTracks])
  useEffect(() => onFrames?.(frame), [frame, onFrames])
  return (
    <>
      <video ref={video} muted playsInline hidden={state.is === 'gap' || state.is === 'refused'} />
      {state.is === 'ready' || state.is === 'buffering' ? <Watermark /> : null}
      {face()}
    </>
  )

  /** For a day from where the clock stands, so that it need not be asked for again with every window. */
  async function askSenior() {
    const { start } = windowFrom(clock.at)
    const wanted = {
      action: 'view_playback',
      points: [{ id: point, name }],
      start,
      end: start + DAY_MS,
    } as const
    if (await approve(wanted)) again()
  }

  function face() {
    switch (state.is) {
      case 'ready':
        return null
      case 'buffering':
        return <span className="tile-badge tile-buffering">{t('media:play.buffering')}</span>
      case 'loading':
        return <VideoFace kind="loading" text={t('media:play.loading')} />
      case 'gap': {
        const { until } = state
        return (
          <VideoFace kind="empty" text={gap?.text ?? t('media:play.nothing_here')} detail={gap?.detail}>
            {offers ??
              (until === null ? null : (
                <Button size="small" onClick={() => clock.seek(until)}>
                  {t('media:play.goes_on', { time: clockText(until) })}
                </Button>
              ))}
          </VideoFace>
        )
      }
      case 'refused':
        if (state.kind === 'not_found')
          return (
            <VideoFace
              kind="empty"
              text={gap?.text ?? (said(state.reason) || t('media:play.nothing_here'))}
              detail={gap?.detail ?? said(state.hint)}
            >
              {offers}
            </VideoFace>
          )
        return (
          <VideoFace
            kind="forbidden"
            text={said(state.reason) || t('shared:not_allowed')}
            detail={said(state.hint) || t('shared:face.ask_admin')}
          >
            {giveReason ? (
              <Button size="small" type="primary" onClick={giveReason}>
                {t('governance:purpose.state')}
              </Button>
            ) : lacksApproval(state.kind) && can.ask_approval ? (
              <>
                <Button size="small" type="primary" onClick={() => void askSenior()}>
                  {t('governance:approval.ask')}
                </Button>
                <Button size="small" onClick={again}>
                  {t('shared:face.retry')}
                </Button>
              </>
            ) : (
              <Button size="small" onClick={again}>
                {t('shared:face.retry')}
              </Button>
            )}
          </VideoFace>
        )
      case 'unsupported':
        return <VideoFace kind="failed" text={t('media:live.unsupported', { codec: state.codec })} />
      case 'failed':
        return (
          <VideoFace kind="failed" text={t('media:play.failed')} detail={said(state.reason)}>
            <Button size="small" onClick={again}>
              {t('shared:face.retry')}
            </Button>
          </VideoFace>
        )
    }
  }
}
