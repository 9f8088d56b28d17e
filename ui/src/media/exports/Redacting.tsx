import { BorderOuterOutlined, DeleteOutlined, EditOutlined } from '@ant-design/icons'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Button, Checkbox, Slider } from 'antd'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { urlOf } from '../../api/client'
import type { Named } from '../../api/types'
import { useReasons } from '../../governance/reasons/useReasons'
import { said } from '../../said/said'
import { Act } from '../../shared/Act'
import { Face, Loading } from '../../shared/Face'
import { clock } from '../../shared/format'
import { useObjectUrl } from '../../shared/useObjectUrl'
import { Canvas } from '../masks/Canvas'
import { RECTANGLE, type Polygon } from '../masks/geometry'
import { fetchPicture } from '../masks/picture'
import '../masks/masks.css'
import type { Stretch } from '../playback/axis'
import { bounded, isShown, type Area } from './exports'

const STILL_WIDTH = 960

interface RedactingProps {
  point: Named
  clip: Stretch
  areas: readonly Area[]
  onAreas: (areas: readonly Area[]) => void
  drawing: Polygon | null
  onDrawing: (polygon: Polygon | null) => void
  isClear: boolean
  onClear: (isClear: boolean) => void
}

/** Areas that are covered for good, drawn over the recording itself, each for as long as it is needed. */
export function Redacting({
  point,
  clip,
  areas,
  onAreas,
  drawing,
  onDrawing,
  isClear,
  onClear,
}: RedactingProps) {
  const { t } = useTranslation()
  const [at, setAt] = useState(clip.start)
  const [selected, setSelected] = useState<number | null>(null)
  useEffect(() => {
    if (drawing === null) return
    const keys = (event: KeyboardEvent) => {
      if (event.key === 'Escape') onDrawing(null)
      else if (event.key === 'Backspace') onDrawing(drawing.slice(0, -1))
      else return
      event.stopPropagation()
      event.preventDefault()
    }
    window.addEventListener('keydown', keys, true)
    return () => window.removeEventListener('keydown', keys, true)
  }, [drawing, onDrawing])
  const add = (polygon: Polygon) => {
    onAreas([...areas, { ...clip, polygon }])
    setSelected(areas.length)
    onDrawing(null)
  }
  const change = (n: number, area: Area) => onAreas(areas.map((one, m) => (m === n ? area : one)))
  const remove = (n: number) => {
    onAreas(areas.filter((_, m) => m !== n))
    setSelected(null)
  }
  const shown = areas.map((_, n) => n).filter((n) => n === selected || isShown(areas[n] as Area, at))
  return (
    <div className="mask-editor">
      <div className="mask-left">
        <Still point={point} at={at}>
          {(width, height) => (
            <Canvas
              width={width}
              height={height}
              polygons={shown.map((n) => ({
                name: t('media:export.area', { n: n + 1 }),
                polygon: areas[n]?.polygon ?? [],
              }))}
              selected={selected === null ? null : shown.indexOf(selected)}
              onSelect={(n) => setSelected(n === null ? null : (shown[n] ?? null))}
              onChange={(n, polygon) => {
                const which = shown[n]
                const area = which === undefined ? undefined : areas[which]
                if (which !== undefined && area) change(which, { ...area, polygon })
              }}
              onRemove={(n) => {
                const which = shown[n]
                if (which !== undefined) remove(which)
              }}
              drawing={drawing}
              onDrawing={onDrawing}
              onDrawn={add}
            />
          )}
        </Still>
        <div className="export-moment">
          <span className="mono">{clock(at)}</span>
          <Slider
            min={clip.start}
            max={Math.max(clip.start, clip.end - 1000)}
            step={1000}
            value={at}
            onChange={setAt}
            ariaLabelForHandle={t('media:export.moment')}
            tooltip={{ formatter: (value) => clock(value ?? clip.start) }}
          />
        </div>
        <div className="mask-tools">
          <Act
            icon={<EditOutlined />}
            type={drawing === null ? 'default' : 'primary'}
            aria-pressed={drawing !== null}
            run={() => {
              setSelected(null)
              onDrawing(drawing === null ? [] : null)
            }}
          >
            {t('media:export.draw')}
          </Act>
          <Act icon={<BorderOuterOutlined />} run={() => add(RECTANGLE)}>
            {t('media:export.rectangle')}
          </Act>
          <span className="muted" role="status">
            {t(drawing === null ? 'media:export.how' : 'media:export.how_draw')}
          </span>
        </div>
      </div>
      <div className="mask-right">
        {areas.length === 0 ? (
          <div>
            <Face
              kind="empty"
              text={t('media:export.none_drawn')}
              detail={t('media:export.none_drawn_how')}
            />
            <Checkbox checked={isClear} onChange={(event) => onClear(event.target.checked)}>
              {t('media:export.clear')}
            </Checkbox>
          </div>
        ) : (
          <ol className="mask-list" aria-label={t('media:export.areas')}>
            {areas.map((area, n) => (
              <li key={n} data-selected={n === selected} onFocus={() => setSelected(n)}>
                <div className="export-area">
                  <b>{t('media:export.area', { n: n + 1 })}</b>
                  <span className="mono">
                    {clock(area.start)} – {clock(area.end)}
                  </span>
                  <Button
                    type="text"
                    icon={<DeleteOutlined />}
                    aria-label={t('media:export.remove', { n: n + 1 })}
                    onClick={() => remove(n)}
                  />
                </div>
                <div className="export-times">
                  <Button size="small" onClick={() => change(n, bounded(area, 'start', at, clip))}>
                    {t('media:export.from_here')}
                  </Button>
                  <Button size="small" onClick={() => change(n, bounded(area, 'end', at, clip))}>
                    {t('media:export.to_here')}
                  </Button>
                  <Button size="small" onClick={() => change(n, { ...area, ...clip })}>
                    {t('media:export.whole')}
                  </Button>
                </div>
              </li>
            ))}
          </ol>
        )}
      </div>
    </div>
  )
}

interface StillProps {
  point: Named
  at: number
  children: (width: number, height: number) => React.ReactNode
}

/** The recorded picture of a moment, with something drawn over it. */
function Still({ point, at, children }: StillProps) {
  const { t } = useTranslation()
  const reasons = useReasons()
  const [size, setSize] = useState<[number, number]>([16 * 80, 9 * 80])
  const still = useQuery({
    queryKey: ['export-still', point.id, at],
    staleTime: Infinity,
    gcTime: 60_000,
    retry: 1,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      reasons.insist(() => {
        const url = urlOf(`/points/${point.id}/snapshot.jpg`, {
          at: new Date(at).toISOString(),
          width: STILL_WIDTH,
        })
        return fetchPicture(url, signal)
      }, null),
  })
  const url = useObjectUrl(still.data)
  const [width, height] = size
  return (
    <div
      className="mask-still"
      // as wide as leaves the buttons below in sight on a small screen
      style={{ aspectRatio: `${width} / ${height}`, width: `min(100%, calc(42vh * ${width / height}))` }}
    >
      {url && !still.error ? (
        <img
          src={url}
          alt={`${point.name} ${clock(at)}`}
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => {
            if (naturalWidth > 0) setSize([naturalWidth, naturalHeight])
          }}
        />
      ) : null}
      {still.isPending ? <Loading /> : null}
      {still.error ? (
        <p className="mask-no-still" role="alert">
          {t('media:export.no_still', { reason: said(still.error.message) })}
        </p>
      ) : null}
      {children(width, height)}
    </div>
  )
}
