import { Button } from 'antd'
import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { useTranslation } from 'react-i18next'
import type { DeviceRecords, Id } from '../../api/types'
import { useGoesOn } from '../../governance/reasons/useReasons'
import { clock as clockText, dayClock } from '../../shared/format'
import { useNow } from '../../shared/useNow'
import { nearest } from '../playback/axis'
import type { MasterClock } from '../player/MasterClock'
import { Masked } from '../masks/Masked'
import { windowFrom } from '../player/PlaybackPlayer'
import { useSound, useVoice } from '../player/useSound'
import { SoundMark, SoundTool } from '../tile/SoundTool'
import { TraceDrawer } from '../tile/TraceDrawer'
import { VideoFace } from '../tile/VideoFace'
import { Watermark } from '../tile/Watermark'
import { DevicePlayer, type DeviceSnapshot } from './DevicePlayer'
import { runsOf } from './records'
import { said } from '../../said/said'

interface DevicePictureProps {
  point: Id
  name: string
  clock: MasterClock
  records: DeviceRecords | undefined
  /** Why the device's recordings are not known. */
  fault: Error | null
  onSeek: (at: number) => void
  onAgain: () => void
}

const nothing: DeviceSnapshot = { state: { is: 'loading' }, sound: null, masked: false, note: null }
const nobody = () => () => undefined
const none = () => nothing

/** A recording played from the device itself, led by the page's clock, with its faces. */
export function DevicePicture({ point, name, clock, records, fault, onSeek, onAgain }: DevicePictureProps) {
  const { t } = useTranslation()
  const video = useRef<HTMLVideoElement>(null)
  const [player, setPlayer] = useState<DevicePlayer | null>(null)
  useNow(1_000)
  useEffect(() => {
    const element = video.current
    if (element === null) return
    const one = new DevicePlayer(element, point, clock)
    setPlayer(one)
    one.start()
    return () => {
      one.dispose()
      setPlayer(null)
    }
  }, [point, clock])
  useEffect(() => player?.setRuns(records ? runsOf(records.items) : null), [player, records])
  const {
    state,
    sound: has,
    masked,
    note,
    measured,
  } = useSyncExternalStore(player?.subscribe ?? nobody, player?.snapshot ?? none)
  const giveReason = useGoesOn(state.is === 'failed' ? state : null, () => player?.again())
  const sound = useSound(point)
  useVoice(video, sound.audible, sound.volume)
  const [trace, setTrace] = useState<string | null>(null)
  const shows = state.is === 'ready' || state.is === 'buffering' || state.is === 'ended'
  return (
    <div className="tile-inner">
      <video ref={video} muted playsInline hidden={!shows} />
      {shows ? <Watermark /> : null}
      {face()}
      <header className="tile-head">
        <b>{name}</b>
        {masked && shows ? (
          <Masked point={{ id: point, name }} stretch={windowFrom(clock.at)} again={() => player?.again()} />
        ) : null}
        <SoundMark sound={sound} has={has} />
        <span className="tile-times">
          {t('media:device.mark')} {clockText(clock.at)}
          {clock.rate === 1 ? '' : ` · ${clock.rate}×`}
        </span>
      </header>
      <div className="tile-tools" role="toolbar" aria-label={t('media:tile.tools')}>
        <SoundTool sound={sound} has={has} />
      </div>
      {note ? (
        <p className="device-note" role="status">
          {t(`media:device.note.${note}`, { n: measured?.toFixed(1) })}
        </p>
      ) : null}
      <TraceDrawer play={trace} name={name} onClose={() => setTrace(null)} />
    </div>
  )

  function face() {
    if (fault)
      return (
        <VideoFace kind="failed" text={t('media:device.no_search')} detail={fault.message}>
          <Button size="small" onClick={onAgain}>
            {t('shared:face.retry')}
          </Button>
        </VideoFace>
      )
    switch (state.is) {
      case 'ready':
        return null
      case 'loading':
        return <VideoFace kind="loading" text={t('media:device.searching')} />
      case 'asking':
        return <VideoFace kind="loading" text={t('media:device.asking')} />
      case 'buffering':
        return <span className="tile-badge tile-buffering">{t('media:play.buffering')}</span>
      case 'ended':
        return <span className="tile-badge">{t('media:device.ended')}</span>
      case 'gap': {
        const best = nearest(records ? runsOf(records.items) : [], clock.at)
        return (
          <VideoFace kind="empty" text={t('media:device.nothing_here')} detail={told()}>
            {best === null ? null : (
              <Button size="small" onClick={() => onSeek(best)}>
                {t('media:play.nearest', { time: dayClock(best).slice(0, 14) })}
              </Button>
            )}
          </VideoFace>
        )
      }
      case 'unsupported':
        return <VideoFace kind="failed" text={t('media:live.unsupported', { codec: state.codec })} />
      case 'failed':
        return (
          <VideoFace
            kind={giveReason ? 'forbidden' : 'failed'}
            text={giveReason ? said(state.reason) : t('media:device.failed')}
            detail={[giveReason ? '' : said(state.reason), said(state.hint)].filter(Boolean).join(' ')}
          >
            {state.play === null ? null : (
              <Button size="small" onClick={() => setTrace(state.play)}>
                {t('media:trace.show')}
              </Button>
            )}
            {giveReason ? (
              <Button size="small" type="primary" onClick={giveReason}>
                {t('governance:purpose.state')}
              </Button>
            ) : (
              <Button size="small" onClick={() => player?.again()}>
                {t('shared:face.retry')}
              </Button>
            )}
          </VideoFace>
        )
    }
  }

  function told(): string {
    if (records?.answered === 'silent') return t('media:device.silent')
    if (records?.answered === 'partial')
      return t('media:device.partial', { n: records.items.length, of: records.announced })
    return ''
  }
}
