import {
  CaretRightOutlined,
  CloseOutlined,
  DownloadOutlined,
  DeleteOutlined,
  FileZipOutlined,
  LockOutlined,
  PauseOutlined,
  ScissorOutlined,
  StepBackwardOutlined,
  StepForwardOutlined,
} from '@ant-design/icons'
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query'
import { App, Button, Checkbox, Input, Segmented, Select, Tooltip } from 'antd'
import {
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type DragEvent,
  type RefObject,
} from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate, useSearchParams } from 'react-router'
import { ApiError, fetched } from '../../api/client'
import type { AxisRow, Hold, Id, Point, PointDetail, Timeline } from '../../api/types'
import { paths } from '../../app/paths'
import { useReasons } from '../../governance/reasons/useReasons'
import { useCan } from '../../governance/session'
import { Act } from '../../shared/Act'
import { Face } from '../../shared/Face'
import { clock as clockText, dayClock, stamp } from '../../shared/format'
import { useKeys } from '../../shared/keys'
import { useNow } from '../../shared/useNow'
import { ears } from '../player/Ears'
import { KEY_FRAMES_ABOVE, MasterClock } from '../player/MasterClock'
import { windowFrom } from '../player/PlaybackPlayer'
import { useSound } from '../player/useSound'
import { Masked } from '../masks/Masked'
import { useMasks } from '../masks/masks'
import { Conversion } from '../tile/Conversion'
import { marks, useMarks } from '../tile/marks'
import { SoundMark, SoundTool } from '../tile/SoundTool'
import { POINT_DRAG, PointTree } from '../tree/PointTree'
import { cellsOf, gridFor } from '../wall/wallState'
import {
  around,
  asked,
  DAY,
  following,
  nearest,
  nextSpan,
  selection,
  SPANS,
  spanOf,
  typedTime,
  type Stretch,
  type View,
} from './axis'
import { saveClip, size, type ClipEnd } from './clip'
import { saveDeviceClip } from '../device/deviceClip'
import { DevicePicture } from '../device/DevicePicture'
import { DEVICE_SPEEDS } from '../device/DevicePlayer'
import { askedOfDevice, readRecords } from '../device/records'
import { ExportDialog } from '../exports/ExportDialog'
import { KeepForm } from '../holds/KeepForm'
import { DeleteForm } from '../retention/DeleteForm'
import { MOST_POINTS, readPlayback, writePlayback, type PlaybackState } from './playbackState'
import { RecordedDays } from './RecordedDays'
import { ReplayPicture } from './ReplayPicture'
import { useTracks } from './useTracks'
import { lengthText, TimeAxis } from './TimeAxis'
import { said } from '../../said/said'
import '../live.css'
import '../tile/tile.css'
import '../wall/wall.css'
import '../holds/holds.css'
import './playback.css'

/** An axis of what the platform has not recorded itself. */
const NOTHING: Omit<AxisRow, 'id'> = {
  spans: [],
  gaps: [],
  events: [],
  holds: [],
  causes_cut: false,
  events_cut: false,
  growing: false,
}

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16] as const
const KEYS: readonly [key: string, rate: number][] = SPEEDS.map((rate, n) => [String(n + 1), rate])
/** Where the frames are not known: nothing is loaded yet. */
const FRAME_MS = 40
const STEP_MS = 5_000
const FRESH_MS = 60_000
/** Playback stays so far behind now: what has just been received is not in the index yet. */
const EDGE_MS = 8_000

/** Recordings of one to sixteen cameras on one clock, and the axis of what is there. All of it is in the address. */

export function Component() {
  const { t } = useTranslation()
  const can = useCan()
  const navigate = useNavigate()
  const [search, setSearch] = useSearchParams()
  const state = useMemo(() => readPlayback(search), [search])
  const latest = useRef(state)
  // Only when the address has changed: a draw for another reason must not take back what is on its way there.
  useEffect(() => {
    latest.current = state
  }, [state])
  const change = useCallback(
    (part: Partial<PlaybackState>) => {
      latest.current = { ...latest.current, ...part }
      setSearch(writePlayback(latest.current), { replace: true })
    },
    [setSearch],
  )
  const [clock] = useState(() => {
    const one = new MasterClock(state.at ?? Date.now() - FRESH_MS)
    one.play()
    return one
  })
  useSyncExternalStore(clock.subscribe, clock.version)
  const [view, setView] = useState<View>(() => around(clock.at, state.span, state.at === null ? 0.85 : 0.5))
  const [chosen, setChosen] = useState(0)
  const [days, setDays] = useState(false)
  const { message } = App.useApp()
  const now = useNow(1_000)

  const seek = useCallback(
    (at: number) => {
      const bounded = Math.min(at, Date.now() - EDGE_MS)
      clock.seek(bounded)
      change({ at: bounded })
      setView((old) => following(old, bounded))
    },
    [clock, change],
  )
  // Once a second: the axis follows, and playback stops at what is newest.
  useEffect(() => {
    const at = clock.at
    if (clock.running) setView((old) => following(old, at))
    if (at > now - EDGE_MS && clock.rate > 1) clock.setRate(1)
    if (at > now - 2_000) clock.seek(now - EDGE_MS)
  }, [clock, now])

  const points = state.points
  const details = useQueries({
    queries: points.map((id) => ({
      queryKey: ['point', id],
      staleTime: 60_000,
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        fetched<PointDetail>('GET', `/points/${id}`, { signal }),
    })),
  })
  const names = details.map((detail) => detail.data?.name ?? '…')
  const range = asked(view, now)
  const live = range.to >= now - 2_000
  // A range up to now is asked again every ten seconds, not with every tick of the clock.
  const to = live ? Math.ceil(now / 10_000) * 10_000 : range.to
  const timeline = useQuery({
    queryKey: ['timeline', points, range.from, to],
    enabled: points.length > 0 && can.view_playback,
    placeholderData: keepPreviousData,
    staleTime: live ? 10_000 : 60_000,
    queryFn: ({ signal }) =>
      fetched<Timeline>('GET', '/timeline', {
        query: {
          points: [...points],
          from: new Date(range.from).toISOString(),
          to: new Date(to).toISOString(),
          pixels: 4_000,
        },
        signal,
      }),
  })
  const onDevice = state.source === 'device'
  const here = points[Math.min(chosen, points.length - 1)] ?? null
  const wanted = onDevice ? askedOfDevice(view, Math.floor(now / 60_000) * 60_000) : null
  const records = useQuery({
    queryKey: ['device-records', here, wanted?.from, wanted?.to],
    enabled: here !== null && wanted !== null && can.view_playback,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry: false,
    queryFn: ({ signal }) => readRecords(here ?? '', wanted ?? view, signal),
  })
  const rows = useMemo(
    () =>
      points.map((id): AxisRow | undefined => {
        if (onDevice && id === here) return { ...NOTHING, id, device: records.data?.items ?? [] }
        return timeline.data?.points.find((row) => row.id === id)
      }),
    [points, timeline.data, onDevice, here, records.data],
  )

  const add = (point: Point | { id: Id }) => {
    if (points.includes(point.id)) setChosen(points.indexOf(point.id))
    else if (points.length >= MOST_POINTS) void message.warning(t('media:play.full_up'))
    else {
      change({ points: [...points, point.id] })
      setChosen(points.length)
    }
  }
  const remove = (id: Id) => {
    change({ points: points.filter((one) => one !== id) })
    setChosen(0)
  }
  const toggle = () => {
    if (clock.running) {
      clock.pause()
      change({ at: Math.round(clock.at) })
    } else {
      if (clock.rate < 0) clock.setRate(1)
      clock.play()
    }
  }
  /** The axis over the next shorter or longer of its usual spans. */
  const stretch = (by: -1 | 1) => {
    const span = nextSpan(spanOf(view), by)
    const next = around(clock.at, span, clock.at + span / 2 > Date.now() ? 0.85 : 0.5)
    setView(next)
    change({ span: spanOf(next) })
  }
  const frames = useRef(new Map<Id, (by: number) => number | null>())
  const frame = (by: number) => {
    clock.pause()
    seek((here === null ? null : frames.current.get(here)?.(by)) ?? clock.at + by * FRAME_MS)
  }
  const setRate = (rate: number) => {
    clock.setRate(rate)
    clock.play()
  }
  const faster = () => setRate(clock.rate <= 0 ? 1 : (SPEEDS.find((one) => one > clock.rate) ?? 16))
  const back = () => setRate(clock.rate > 0 ? -1 : Math.max(-16, clock.rate * 2))
  const clipFrom = () => {
    const end = state.clip && state.clip.end > clock.at ? state.clip.end : clock.at + 60_000
    change({ clip: selection(clock.at, end, Date.now()) })
  }
  const clipTo = () => {
    const start = state.clip && state.clip.start < clock.at ? state.clip.start : clock.at - 60_000
    change({ clip: selection(start, clock.at, Date.now()) })
  }
  useKeys(t('media:play.title'), [
    { keys: 'Space', label: t('media:play.key_play'), run: toggle },
    { keys: 'ArrowLeft', label: t('media:play.back5'), run: () => seek(clock.at - STEP_MS) },
    { keys: 'ArrowRight', label: t('media:play.ahead5'), run: () => seek(clock.at + STEP_MS) },
    { keys: ',', label: t('media:play.frame_back'), run: () => frame(-1) },
    { keys: '.', label: t('media:play.frame_ahead'), run: () => frame(1) },
    { keys: 'j', label: t('media:play.reverse'), run: back },
    { keys: 'k', label: t('media:play.pause'), run: () => clock.pause() },
    { keys: 'l', label: t('media:play.faster'), run: faster },
    ...KEYS.map(([keys, rate]) => ({
      keys,
      label: t('media:play.key_speed', { n: rate }),
      run: () => setRate(rate),
    })),
    { keys: 'i', label: t('media:play.clip_from'), run: clipFrom },
    { keys: 'o', label: t('media:play.clip_to'), run: clipTo },
    { keys: 'c', label: t('media:play.calendar'), run: () => setDays((old) => !old) },
    { keys: '[', label: t('media:play.key_shorter'), run: () => stretch(-1) },
    { keys: ']', label: t('media:play.key_longer'), run: () => stretch(1) },
    { keys: 'm', label: t('media:sound.key'), run: () => here !== null && ears.toggle(here) },
    { keys: '+', label: t('media:sound.louder'), run: () => ears.louder() },
    { keys: '=', label: t('media:sound.louder'), run: () => ears.louder(), again: true },
    { keys: '-', label: t('media:sound.softer'), run: () => ears.softer() },
    { keys: 'Escape', label: t('media:play.clip_clear'), run: () => change({ clip: null }) },
  ])

  if (!can.view_playback)
    return <Face kind="forbidden" text={t('media:play.denied')} detail={t('shared:face.ask_admin')} />
  const shown = onDevice ? points.filter((id) => id === here) : points
  const grid = gridFor(shown.length)
  const { columns, cells } = cellsOf(shown.length === 2 ? 4 : grid)
  const onDrop = (event: DragEvent) => {
    event.preventDefault()
    const id = event.dataTransfer.getData(POINT_DRAG)
    if (id !== '') add({ id })
  }
  const tiles = shown.length === 2 ? { rows: 1, columns: 2 } : { rows: columns, columns }
  return (
    <div className="wall-page">
      <aside className="wall-side">
        <header>
          <h2>{t('media:tree.title')}</h2>
          <span className="muted">{t('media:play.chosen', { n: points.length })}</span>
        </header>
        <PointTree
          searchId="playback-search"
          chosen={points}
          onChoose={add}
          onChooseMany={(all) =>
            change({ points: [...new Set([...points, ...all.map((one) => one.id)])].slice(0, MOST_POINTS) })
          }
          acts={[
            { key: 'add', label: t('media:wall.open_next'), run: add },
            {
              key: 'live',
              label: t('media:wall.title'),
              run: (point) => void navigate(paths.wall([point.id])),
            },
            {
              key: 'map',
              label: t('media:wall.open_map'),
              run: (point) => void navigate(paths.map({ point: point.id })),
            },
          ]}
        />
      </aside>
      <div className="wall-main play-main">
        <div
          className="wall-grid"
          style={{
            gridTemplate: `repeat(${tiles.rows}, minmax(0, 1fr)) / repeat(${tiles.columns}, minmax(0, 1fr))`,
          }}
          onDragOver={(event) => event.preventDefault()}
          onDrop={onDrop}
        >
          {points.length === 0 ? (
            <div className="tile">
              <Face kind="empty" text={t('media:play.empty')} detail={t('media:play.empty_how')} />
            </div>
          ) : null}
          {onDevice && here !== null ? (
            <div className="tile">
              <DevicePicture
                key={here}
                point={here}
                name={names[points.indexOf(here)] ?? ''}
                clock={clock}
                records={records.isPlaceholderData ? undefined : records.data}
                fault={records.error}
                onSeek={seek}
                onAgain={() => void records.refetch()}
              />
            </div>
          ) : null}
          {(onDevice ? [] : points).map((id, n) => {
            const cell = cells[n]
            const area =
              cell === undefined || points.length === 2
                ? undefined
                : `${cell.row + 1} / ${cell.column + 1} / span ${cell.span} / span ${cell.span}`
            return (
              <div
                key={id}
                className="tile"
                aria-selected={n === chosen && points.length > 1}
                style={{ gridArea: area }}
                onPointerDown={() => setChosen(n)}
              >
                <Recorded
                  id={id}
                  name={names[n] ?? ''}
                  clock={clock}
                  row={rows[n]}
                  frames={frames}
                  onSeek={seek}
                  onClose={() => remove(id)}
                />
              </div>
            )
          })}
        </div>
        <Transport
          clock={clock}
          point={here}
          source={state.source}
          onSource={(source) => {
            clock.setRate(1)
            change({ source, at: Math.round(clock.at) })
          }}
          days={days}
          onDays={setDays}
          onToggle={toggle}
          onFrame={frame}
          onRate={setRate}
          onSeek={seek}
          view={view}
          onView={(next) => {
            setView(next)
            change({ span: spanOf(next) })
          }}
        />
        <div className="play-axis">
          {timeline.error ? (
            <p className="play-fault" role="alert">
              {t('media:play.axis_failed', { reason: said(timeline.error.message) })}{' '}
              <Button size="small" onClick={() => void timeline.refetch()}>
                {t('shared:face.retry')}
              </Button>
            </p>
          ) : null}
          <TimeAxis
            clock={clock}
            view={view}
            onView={setView}
            rows={rows}
            names={names}
            clip={state.clip}
            onClip={(clip) => change({ clip })}
            onSeek={seek}
          />
        </div>
        <footer className="play-foot">
          <Legend onDevice={onDevice} />
          <Clip
            clip={state.clip}
            point={here === null ? null : { id: here, name: names[points.indexOf(here)] ?? '' }}
            onDevice={onDevice}
            holds={rows[here === null ? -1 : points.indexOf(here)]?.holds ?? []}
            onClear={() => change({ clip: null })}
          />
        </footer>
      </div>
    </div>
  )
}

interface RecordedProps {
  id: Id
  name: string
  clock: MasterClock
  row: AxisRow | undefined
  /** By point: how to find a frame near the one shown. */
  frames: RefObject<Map<Id, (by: number) => number | null>>
  onSeek: (at: number) => void
  onClose: () => void
}

/** One recorded picture; where there is none, why, and the nearest recording. */
function Recorded({ id, name, clock, row, frames, onSeek, onClose }: RecordedProps) {
  const { t } = useTranslation()
  useNow(1_000)
  const sound = useSound(id)
  const { tracks, onTracks, again } = useTracks()
  const onFrames = useCallback(
    (frame: (by: number) => number | null) => void frames.current.set(id, frame),
    [frames, id],
  )
  const at = clock.at
  const gap = row?.gaps.find((one) => Date.parse(one.start) <= at && at < Date.parse(one.end))
  const spans: Stretch[] =
    row?.spans.map(({ start, end }) => ({ start: Date.parse(start), end: Date.parse(end) })) ?? []
  const best = nearest(spans, at)
  const why = gap
    ? {
        text: t('media:play.no_recording', {
          from: dayClock(gap.start).slice(0, 11),
          to: dayClock(gap.end).slice(0, 11),
        }),
        detail: [t(`media:play.cause.${gap.cause}`, { defaultValue: gap.cause }), said(gap.detail)]
          .filter((one) => one)
          .join(' · '),
      }
    : null
  return (
    <div className="tile-inner">
      <ReplayPicture
        point={id}
        name={name}
        clock={clock}
        sound={sound}
        onTracks={onTracks}
        onFrames={onFrames}
        gap={why}
        offers={
          best === null ? (
            <small>{row ? t('media:play.no_nearest') : ''}</small>
          ) : (
            <Button size="small" onClick={() => onSeek(best)}>
              {t('media:play.nearest', {
                time: dayClock(best).slice(0, Math.abs(best - at) > DAY ? 11 : 14),
              })}
            </Button>
          )
        }
      />
      <header className="tile-head">
        <b title={name}>{name}</b>
        {tracks?.masked ? (
          <Masked point={{ id, name }} stretch={windowFrom(at)} again={again} />
        ) : tracks?.convertedFrom ? (
          <Conversion live={false} from={tracks.convertedFrom} to={tracks.codec ?? 'H.264'} />
        ) : null}
        <SoundMark sound={sound} has={tracks?.sound ?? null} />
        <span className="tile-times">{`${clockText(at)}${clock.rate === 1 ? '' : ` · ${clock.rate}×`}`}</span>
      </header>
      <div className="tile-tools" role="toolbar" aria-label={t('media:tile.tools')}>
        <SoundTool sound={sound} has={tracks?.sound ?? null} />
        <Button
          type="text"
          size="small"
          icon={<CloseOutlined />}
          aria-label={`${t('shared:close')} ${name}`}
          onClick={onClose}
        />
      </div>
    </div>
  )
}

interface TransportProps {
  clock: MasterClock
  point: Id | null
  source: PlaybackState['source']
  onSource: (source: PlaybackState['source']) => void
  view: View
  /** Whether the calendar is open. */
  days: boolean
  onDays: (open: boolean) => void
  onToggle: () => void
  onFrame: (by: number) => void
  onRate: (rate: number) => void
  onSeek: (at: number) => void
  onView: (view: View) => void
}

function Transport({
  clock,
  point,
  source,
  onSource,
  view,
  days,
  onDays,
  onToggle,
  onFrame,
  onRate,
  onSeek,
  onView,
}: TransportProps) {
  const { t } = useTranslation()
  useNow(500)
  const [typed, setTyped] = useState<string | null>(null)
  const onDevice = source === 'device'
  const speeds: readonly number[] = onDevice ? DEVICE_SPEEDS : SPEEDS
  const button = (text: string, key: string, icon: React.ReactNode, run: () => void, primary = false) => {
    const off = onDevice && !primary
    return (
      <Tooltip title={off ? t('media:device.no_frames') : `${text} (${key})`} mouseEnterDelay={0.4}>
        <Button
          type={primary ? 'primary' : 'default'}
          icon={icon}
          aria-label={text}
          disabled={off}
          onClick={run}
        />
      </Tooltip>
    )
  }
  const wrong = typed !== null && typedTime(typed, clock.at) === null
  return (
    <div className="play-bar">
      <Segmented<PlaybackState['source']>
        size="small"
        value={source}
        onChange={onSource}
        aria-label={t('media:device.source')}
        options={[
          { value: 'platform', label: t('media:device.platform') },
          { value: 'device', label: t('media:device.device'), disabled: point === null },
        ]}
      />
      {button(t('media:play.frame_back'), ',', <StepBackwardOutlined />, () => onFrame(-1))}
      {button(
        clock.running ? t('media:play.pause') : t('media:play.play'),
        'Space',
        clock.running ? <PauseOutlined /> : <CaretRightOutlined />,
        onToggle,
        true,
      )}
      {button(t('media:play.frame_ahead'), '.', <StepForwardOutlined />, () => onFrame(1))}
      <Select<number>
        value={clock.rate}
        aria-label={t('media:play.speed')}
        popupMatchSelectWidth={150}
        style={{ width: 76 }}
        onChange={onRate}
        options={[...speeds, ...(clock.rate < 0 ? [clock.rate] : [])].map((value) => ({
          value,
          label: `${value}×${!onDevice && (value > KEY_FRAMES_ABOVE || value < 0) ? ` ${t('media:play.key_frames')}` : ''}`,
        }))}
        labelRender={({ value }) => `${value}×`}
      />
      <RecordedDays point={point} open={days} onOpen={onDays} at={() => clock.at} onDay={onSeek} />
      <Input
        className="play-time"
        value={typed ?? stamp(clock.at)}
        status={wrong ? 'error' : ''}
        aria-label={t('media:play.typed')}
        title={t('media:play.typed')}
        onFocus={(event) => {
          setTyped(event.target.value) // what stands there: another text would take the selection away
          event.target.select()
        }}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={() => setTyped(null)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur()
          if (event.key !== 'Enter' || typed === null) return
          const at = typedTime(typed, clock.at)
          if (at === null) return
          onSeek(at)
          event.currentTarget.blur()
        }}
      />
      <span className="play-note muted">{clock.running && clock.held ? t('media:play.sync_hold') : ''}</span>
      <div className="play-spans" role="radiogroup" aria-label={t('media:play.axis')}>
        {SPANS.map(([key, span]) => (
          <button
            key={key}
            type="button"
            role="radio"
            aria-checked={Math.abs(spanOf(view) - span) < 1_000}
            onClick={() => onView(around(clock.at, span, clock.at + span / 2 > Date.now() ? 0.85 : 0.5))}
          >
            {t(`media:play.span.${key}`)}
          </button>
        ))}
      </div>
    </div>
  )
}

function Legend({ onDevice }: { onDevice: boolean }) {
  const { t } = useTranslation()
  return (
    <ul className="play-legend">
      {onDevice ? (
        <li>
          <i className="lg-device" /> {t('media:device.lane')}
        </li>
      ) : null}
      <li>
        <i className="lg-rec" /> {t('media:play.lane.rec')}
      </li>
      <li>
        <i className="lg-alarm" /> {t('media:play.lane.alarm')}
      </li>
      <li>
        <i className="lg-motion" /> {t('media:play.event.motion')}
      </li>
      <li>
        <i className="lg-fault" /> {t('media:play.event.fault')}
      </li>
      <li>
        <i className="lg-event" /> {t('media:play.lane.event')}
      </li>
      <li>
        <svg className="lg-hold" viewBox="0 0 20 10" aria-hidden>
          <path d="M.75 1v7h18.5V1" fill="none" stroke="currentColor" strokeWidth="1.5" />
          <path d="M7 5.5h6V10H7z" fill="currentColor" />
          <path d="M8 5.5v-1a2 2 0 0 1 4 0v1" fill="none" stroke="currentColor" strokeWidth="1.2" />
        </svg>{' '}
        {t('media:play.lane.hold')}
      </li>
      <li>
        <i className="lg-gap" /> {t('media:play.lane.gap')}
      </li>
    </ul>
  )
}

interface ClipProps {
  clip: Stretch | null
  point: { id: Id; name: string } | null
  onDevice: boolean
  /** What is held of the point, as far as the axis reaches. */
  holds: readonly Hold[]
  onClear: () => void
}

/** What can be done with the chosen range. */
function Clip({ clip, point, onDevice, holds, onClear }: ClipProps) {
  const { t } = useTranslation()
  const can = useCan()
  const { message } = App.useApp()
  const [bytes, setBytes] = useState<number | null>(null)
  const [share, setShare] = useState<number | null>(null)
  const [keeping, setKeeping] = useState(false)
  const [deleting, setDeleting] = useState(false)
  const [exporting, setExporting] = useState(false)
  const reasons = useReasons()
  const abort = useRef<AbortController | null>(null)
  useEffect(() => () => abort.current?.abort(), [])
  if (clip === null || point === null) return <p className="play-clip muted">{t('media:play.clip_none')}</p>
  const load = async () => {
    const { signal } = (abort.current = new AbortController())
    const save = async () => {
      setBytes(0)
      setShare(onDevice ? 0 : null)
      try {
        return await (onDevice ? saveDeviceClip : saveClip)(point, clip, signal, (progress) => {
          setBytes(progress.bytes)
          setShare(progress.share)
        })
      } finally {
        setBytes(null)
      }
    }
    const end = await reasons.insist(save, { points: [point], ...clip }).catch((error: unknown): ClipEnd => {
      if (error instanceof ApiError) return { is: 'failed', reason: error.reason }
      throw error
    })
    if (end?.is === 'failed') void message.error(t('media:play.clip_failed', { reason: said(end.reason) }), 6)
    if (end?.is === 'saved') {
      const done = t('media:play.clip_done', { file: end.file })
      const missing = end.gaps !== null && end.gaps !== '' && end.gaps !== '0'
      if (missing) void message.warning(`${done} · ${t('media:play.clip_gaps', { gaps: end.gaps })}`, 8)
      else void message.success(done)
    }
  }
  return (
    <div className="play-clip">
      <span className="clip-range">
        <ScissorOutlined />
        {t('media:play.clip_of', {
          from: dayClock(clip.start),
          to: clockText(clip.end),
          length: lengthText(clip.end - clip.start, t),
        })}
        <Button
          type="text"
          size="small"
          icon={<CloseOutlined />}
          aria-label={t('media:play.clip_clear')}
          onClick={onClear}
        />
      </span>
      <Act
        size="small"
        icon={<LockOutlined />}
        reason={can.hold ? (onDevice ? t('media:hold.not_on_device') : null) : t('shared:not_allowed')}
        run={() => setKeeping(true)}
      >
        {t('media:hold.keep')}
      </Act>
      {keeping ? (
        <KeepForm
          point={point}
          stretch={clip}
          held={holds.filter((one) => Date.parse(one.start) < clip.end && Date.parse(one.end) > clip.start)}
          onClose={() => setKeeping(false)}
        />
      ) : null}
      {can.delete && !onDevice ? (
        <Button size="small" icon={<DeleteOutlined />} onClick={() => setDeleting(true)}>
          {t('media:retention.delete')}
        </Button>
      ) : null}
      {deleting ? <DeleteForm point={point} stretch={clip} onClose={() => setDeleting(false)} /> : null}
      <Act
        size="small"
        icon={<FileZipOutlined />}
        reason={can.export ? (onDevice ? t('media:export.not_on_device') : null) : t('shared:not_allowed')}
        run={() => setExporting(true)}
      >
        {t('media:export.open')}
      </Act>
      {exporting ? <ExportDialog point={point} clip={clip} onClose={() => setExporting(false)} /> : null}
      {onDevice ? null : <MarkWish />}
      <ClipMasked key={point.id} point={point} clip={clip} />
      {bytes === null ? (
        <Tooltip title={t('media:play.clip_row', { name: point.name })}>
          <span>
            <Act
              type="primary"
              size="small"
              icon={<DownloadOutlined />}
              reason={can.export ? null : t('shared:not_allowed')}
              run={() => void load()}
            >
              {t(onDevice ? 'media:device.clip' : 'media:play.clip')}
            </Act>
          </span>
        </Tooltip>
      ) : (
        <>
          <progress aria-label={t('media:play.clip')} {...(share === null ? {} : { value: share })} />
          <span>
            {share === null ? '' : `${Math.floor(share * 100)} % · `}
            {t('media:play.clip_working', { size: size(bytes) })}
          </span>
          <Button size="small" onClick={() => abort.current?.abort()}>
            {t('shared:cancel')}
          </Button>
        </>
      )}
    </div>
  )
}

/** Whether who downloads is to be drawn on what is downloaded. */
function MarkWish() {
  const { t } = useTranslation()
  const marked = useMarks()
  return (
    <Tooltip title={t('media:masks.mark_hint')}>
      <Checkbox checked={marked} onChange={(event) => marks.set(event.target.checked)}>
        {t('media:masks.mark')}
      </Checkbox>
    </Tooltip>
  )
}

/** Where the point has masks: that the download has them, too, and how to have it without. */
function ClipMasked({ point, clip }: { point: { id: Id; name: string }; clip: Stretch }) {
  const masks = useMasks(point.id)
  const [lifted, setLifted] = useState('')
  const range = `${clip.start}-${clip.end}`
  if (!masks.data || masks.data.items.length === 0 || lifted === range) return null
  return <Masked point={point} stretch={clip} again={() => setLifted(range)} />
}
