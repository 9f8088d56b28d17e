import {
  AimOutlined,
  CameraOutlined,
  CloseOutlined,
  FullscreenExitOutlined,
  FullscreenOutlined,
  HistoryOutlined,
  ProfileOutlined,
  SignatureOutlined,
  ZoomOutOutlined,
} from '@ant-design/icons'
import { App, Button } from 'antd'
import { useImperativeHandle, useMemo, useRef, useState, type ReactNode, type Ref } from 'react'
import { useTranslation } from 'react-i18next'
import { ApiError } from '../../api/client'
import type { Id, StreamName } from '../../api/types'
import { useReasons } from '../../governance/reasons/useReasons'
import { useCan } from '../../governance/session'
import { usePoint } from '../../registry/queries'
import { said } from '../../said/said'
import { clock } from '../../shared/format'
import { useNow } from '../../shared/useNow'
import { StaleBadge } from '../LivePicture'
import { MasterClock } from '../player/MasterClock'
import type { LiveState } from '../player/LivePlayer'
import type { Tracks } from '../player/PlaybackPlayer'
import { useLive } from '../player/useLive'
import { useSound, useVoice, type Sound } from '../player/useSound'
import { useHead } from '../wall/useHead'
import { ReplayPicture } from '../playback/ReplayPicture'
import { windowFrom } from '../player/PlaybackPlayer'
import { useTracks } from '../playback/useTracks'
import { Masked } from '../masks/Masked'
import { Conversion } from './Conversion'
import { saveSnapshot } from './download'
import { bitRate, delay, resolution } from './figures'
import { LiveFace } from './LiveFace'
import { marks, useMarks } from './marks'
import { SoundMark, SoundTool } from './SoundTool'
import { Tool } from './Tool'
import { TraceDrawer } from './TraceDrawer'
import { useZoom } from './useZoom'
import { Watermark } from './Watermark'
import '../live.css'
import './tile.css'

export const REPLAY_MS = 30_000

/** What keys of the wall can make a tile do. */
export interface TileHandle {
  snapshot: () => void
  replay: () => void
  flipStream: () => void
  wholePicture: () => void
  trace: () => void
  hear: () => void
}

interface TileProps {
  ref?: Ref<TileHandle>
  point: Id
  /** What the wall would take: sub in dense grids, main when enlarged. */
  stream: StreamName
  /** Told when another stream is chosen by hand; without it the choice lasts as long as the picture is enlarged. */
  onStream?: (stream: StreamName) => void
  ptzOpen: boolean
  onPtz: () => void
  /** It fills the screen. */
  isFull: boolean
  onFull: () => void
  onClose: () => void
  /** Over the picture: the PTZ pad. */
  children?: ReactNode
}

/** One live picture with all that an operator must know of it and may do with it. */
export function Tile({
  ref,
  point,
  stream,
  onStream,
  ptzOpen,
  onPtz,
  isFull,
  onFull,
  onClose,
  children,
}: TileProps) {
  const { t } = useTranslation()
  const { message } = App.useApp()
  const can = useCan()
  const reasons = useReasons()
  const known = usePoint(point)
  const holder = useRef<HTMLDivElement>(null)
  const video = useRef<HTMLVideoElement>(null)
  const [converted, setConverted] = useState(false)
  const [wanted, setWanted] = useState<{ over: StreamName; stream: StreamName } | null>(null)
  const [trace, setTrace] = useState<string | null>(null)
  const [replayFrom, setReplayFrom] = useState<number | null>(null)
  // A choice by hand holds until the wall itself asks for another stream (enlarged, denser grid).
  const shown = wanted?.over === stream ? wanted.stream : stream
  const live = useLive(video, { point, stream: shown, asH264: converted })
  const { state, parameters, metrics, again } = live
  const zooming = useZoom(holder)
  const sound = useSound(point)
  const { tracks: replayed, onTracks, again: replayAgain } = useTracks()
  const marked = useMarks()
  const replaying = replayFrom !== null
  useVoice(video, sound.audible && !replaying, sound.volume)
  const has = replaying ? (replayed?.sound ?? null) : (parameters?.sound ?? null)
  const name = known.data?.name ?? ''

  const snapshot = () => {
    reasons
      .insist(() => saveSnapshot(point, name, shown), null)
      .then(
        (file) => file !== null && void message.success(t('media:tile.saved', { file })),
        (error: unknown) => {
          const reason = error instanceof ApiError ? said(error.reason) : String(error)
          void message.error(t('media:tile.not_saved', { reason }), 6)
        },
      )
  }
  const replay = () => {
    if (can.view_playback) setReplayFrom(replayFrom === null ? Date.now() - REPLAY_MS : null)
  }
  const flipStream = () => {
    const other = shown === 'main' ? 'sub' : 'main'
    if (onStream) onStream(other)
    else setWanted({ over: stream, stream: other })
  }
  const showTrace = () => setTrace(parameters?.play ?? playOf(state))
  const hear = () => {
    if (has === false && !sound.audible) void message.info(t('media:sound.none'))
    else sound.toggle()
  }
  useImperativeHandle(ref, () => ({
    snapshot,
    replay,
    flipStream,
    wholePicture: zooming.reset,
    trace: showTrace,
    hear,
  }))

  const head = useHead(point, can.ptz && known.data?.ptz === true)
  const steering = head?.holder && !head.holder.mine ? head.holder.name : null
  const moving = state.is === 'playing' || state.is === 'stalled'
  const denied = t('shared:not_allowed')
  const noPtz = !can.ptz ? denied : known.data && !known.data.ptz ? t('media:tile.no_ptz') : null
  return (
    <div
      ref={holder}
      className="tile-inner"
      onPointerDown={zooming.onPointerDown}
      data-zoomed={zooming.zoom.scale > 1}
    >
      <video
        ref={video}
        className={state.is === 'stalled' ? 'stale-video' : undefined}
        style={zooming.style}
        aria-label={t('media:live.alt', { name })}
        muted
        playsInline
      />
      {replayFrom === null ? (
        <LiveFace state={state} onAgain={again} onTrace={setTrace} onConvert={() => setConverted(true)} />
      ) : (
        <Replay
          point={point}
          name={name}
          from={replayFrom}
          sound={sound}
          onTracks={onTracks}
          onEnd={() => setReplayFrom(null)}
        />
      )}
      {moving && !replaying ? <Watermark /> : null}
      {state.is === 'stalled' && replayFrom === null ? (
        <StaleBadge since={state.since} onAgain={again} />
      ) : null}
      <header className="tile-head">
        {known.data?.recording && state.is !== 'lost' && state.is !== 'refused' ? (
          <i
            className="rec-dot"
            role="img"
            aria-label={t('media:tile.recording')}
            title={t('media:tile.recording')}
          />
        ) : null}
        <b title={name}>{name}</b>
        {replayFrom !== null ? <span className="tile-badge">{t('media:tile.replaying')}</span> : null}
        {parameters?.masked && moving && !replaying ? (
          <Masked point={{ id: point, name }} stretch={null} again={again} />
        ) : parameters?.convertedFrom && moving && !replaying ? (
          <Conversion live from={parameters.convertedFrom} to={parameters.codec} />
        ) : null}
        {replaying && replayed?.masked ? (
          <Masked point={{ id: point, name }} stretch={windowFrom(replayFrom)} again={replayAgain} />
        ) : replaying && replayed?.convertedFrom ? (
          <Conversion live={false} from={replayed.convertedFrom} to={replayed.codec ?? 'H.264'} />
        ) : null}
        {moving || replaying ? <SoundMark sound={sound} has={has} /> : null}
        {steering ? <span className="tile-badge">{t('media:ptz.steers', { name: steering })}</span> : null}
        {zooming.zoom.scale > 1 ? (
          <span className="tile-badge">{`${zooming.zoom.scale.toFixed(1)}×`}</span>
        ) : null}
        {moving && replayFrom === null ? (
          <Times
            lag={metrics.lag}
            behind={metrics.behind}
            stood={state.is === 'stalled' ? state.since : null}
          />
        ) : null}
      </header>
      {parameters && moving && replayFrom === null ? (
        <footer className="tile-foot">
          <span className="tile-what">
            {`${resolution(parameters)} · ${parameters.codec}`}
            <i>{` · ${t(`media:stream.${shown}`)}`}</i>
          </span>
          <span title={metrics.decoder ? t(`media:tile.decoder.${metrics.decoder}`) : undefined}>
            {bitRate(metrics.bitsPerSecond)}
            <i>{` · ${metrics.fps.toFixed(0)} fps`}</i>
          </span>
          {state.is === 'playing' ? (
            <span title={t('media:tile.delay_of')}>
              {t('media:tile.delay', { n: delay(metrics.age ?? metrics.lag) })}
            </span>
          ) : null}
          {metrics.loss > 0 ? (
            <span className="tile-warn" title={t('media:tile.loss_of')}>
              {t('media:tile.loss', { n: metrics.loss < 0.001 ? '< 0.1' : (metrics.loss * 100).toFixed(1) })}
            </span>
          ) : null}
        </footer>
      ) : null}
      <div className="tile-tools" role="toolbar" aria-label={t('media:tile.tools')}>
        <Tool
          icon={<CameraOutlined />}
          text={`${t('media:tile.snapshot')} (S)`}
          run={snapshot}
          off={!moving}
        />
        <Tool
          icon={<SignatureOutlined />}
          text={t('media:masks.mark')}
          run={() => marks.set(!marked)}
          on={marked}
        />
        <Tool
          icon={<HistoryOutlined />}
          text={`${t('media:tile.replay')} (R)`}
          run={replay}
          reason={can.view_playback ? null : denied}
          on={replayFrom !== null}
        />
        <SoundTool sound={sound} has={has} />
        <Tool
          icon={<AimOutlined />}
          text={`${t('media:tile.ptz')} (P)`}
          run={onPtz}
          reason={noPtz}
          on={ptzOpen}
        />
        <Tool
          text={`${t('media:tile.flip')} (Q)`}
          label={t(`media:stream.${shown}`)}
          run={flipStream}
          reason={
            known.data && !known.data.streams.includes(shown === 'main' ? 'sub' : 'main')
              ? t('media:tile.one_stream')
              : null
          }
        />
        {zooming.zoom.scale > 1 ? (
          <Tool icon={<ZoomOutOutlined />} text={`${t('media:tile.whole')} (0)`} run={zooming.reset} />
        ) : null}
        <Tool
          icon={<ProfileOutlined />}
          text={`${t('media:trace.show')} (T)`}
          run={showTrace}
          off={(parameters?.play ?? playOf(state)) === null}
        />
        <Tool
          icon={isFull ? <FullscreenExitOutlined /> : <FullscreenOutlined />}
          text={isFull ? `${t('media:tile.full_end')} (Esc)` : `${t('media:tile.full')} (Alt+F)`}
          run={onFull}
        />
        <Tool icon={<CloseOutlined />} text={`${t('shared:close')} (Delete)`} run={onClose} />
      </div>
      {children}
      <TraceDrawer play={trace} name={name} onClose={() => setTrace(null)} />
    </div>
  )
}

const playOf = (state: LiveState) => (state.is === 'lost' || state.is === 'refused' ? state.play : null)

interface TimesProps {
  lag: number
  /** When the picture came to the server, by its clock, less this browser's clock. */
  behind: number | null
  /** Since when the picture stands still. */
  stood: number | null
}

/** When the picture came to the server. It stands when the picture does. */
function Times({ lag, behind, stood }: TimesProps) {
  const now = useNow(1_000)
  return <span className="tile-times">{clock(stood ?? now + (behind ?? -lag * 1000))}</span>
}

interface ReplayProps {
  point: Id
  name: string
  from: number
  sound: Sound
  onTracks: (tracks: Tracks, again: () => void) => void
  onEnd: () => void
}

/** The last half minute over the live picture; live again at its end. */
function Replay({ point, name, from, sound, onTracks, onEnd }: ReplayProps) {
  const { t } = useTranslation()
  const clockOf = useMemo(() => {
    const one = new MasterClock(from)
    one.play()
    return one
  }, [from])
  const now = useNow(250)
  const left = Math.max(0, from + REPLAY_MS - clockOf.at)
  return (
    <div className="tile-replay">
      <ReplayPicture point={point} name={name} clock={clockOf} sound={sound} onTracks={onTracks} />
      <div className="tile-replay-bar" data-now={now}>
        <span>{clock(clockOf.at)}</span>
        <progress max={REPLAY_MS} value={REPLAY_MS - left} />
        <Button size="small" onClick={onEnd}>
          {left === 0 ? t('media:tile.back_live_end') : t('media:tile.back_live')}
        </Button>
      </div>
    </div>
  )
}
