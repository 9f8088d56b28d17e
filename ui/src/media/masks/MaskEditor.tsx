import { BorderOuterOutlined, DeleteOutlined, EditOutlined, ReloadOutlined } from '@ant-design/icons'
import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Input, InputNumber, Modal, Tooltip } from 'antd'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched, urlOf } from '../../api/client'
import type { Mask, Masks, MasksDraft, Named } from '../../api/types'
import { useReasons } from '../../governance/reasons/useReasons'
import { said } from '../../said/said'
import { Act } from '../../shared/Act'
import { Face, Failed, Loading } from '../../shared/Face'
import { stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { useObjectUrl } from '../../shared/useObjectUrl'
import { Canvas } from './Canvas'
import { faultOf, RECTANGLE, type Corner, type Polygon } from './geometry'
import { aroundNow, masksKey, useMasks } from './masks'
import { fetchPicture } from './picture'
import './masks.css'

const MOST_MASKS = 32
const STILL_WIDTH = 1280

interface Drawn {
  id: string | null
  preset: number | null
  name: string
  why: string
  polygon: Polygon
  /** Who changed it last, and when; null: it is new. */
  last: Pick<Mask, 'changed_by' | 'changed_at'> | null
}

const drawnOf = (mask: Mask): Drawn => ({
  id: mask.id,
  preset: mask.preset,
  name: mask.name,
  why: mask.why,
  polygon: mask.polygon.map(([x = 0, y = 0]): Corner => [x, y]),
  last: mask,
})

interface MaskEditorProps {
  point: Named
  onClose: () => void
}

/** Draws a point's privacy masks over a still of it. */
export function MaskEditor({ point, onClose }: MaskEditorProps) {
  const { t } = useTranslation()
  const masks = useMasks(point.id)
  return (
    <Modal
      open
      title={t('media:masks.editor', { name: point.name })}
      width="min(1180px, 96vw)"
      style={{ top: 24 }}
      footer={null}
      onCancel={onClose}
      destroyOnHidden
    >
      {masks.data ? (
        <Editing key={masks.data.version} point={point} masks={masks.data} onClose={onClose} />
      ) : masks.error ? (
        <Failed error={masks.error} retry={() => void masks.refetch()} />
      ) : (
        <Loading />
      )}
    </Modal>
  )
}

function Editing({ point, masks, onClose }: MaskEditorProps & { masks: Masks }) {
  const { t } = useTranslation()
  const reasons = useReasons()
  const [drawn, setDrawn] = useState<readonly Drawn[]>(() => masks.items.map(drawnOf))
  const [selected, setSelected] = useState<number | null>(null)
  const [drawing, setDrawing] = useState<Polygon | null>(null)
  const change = (n: number, part: Partial<Drawn>) =>
    setDrawn((old) => old.map((one, at) => (at === n ? { ...one, ...part } : one)))
  const remove = (n: number) => {
    setDrawn((old) => old.filter((_, at) => at !== n))
    setSelected(null)
  }
  const add = (polygon: Polygon) => {
    setDrawn((old) => [...old, { id: null, preset: null, name: '', why: '', polygon, last: null }])
    setSelected(drawn.length)
    setDrawing(null)
  }
  const save = useDo({
    run: () =>
      reasons.insist(
        () =>
          fetched<Masks>('PUT', `/points/${point.id}/masks`, {
            json: {
              version: masks.version,
              items: drawn.map(({ id, preset, name, why, polygon }) => ({
                id,
                preset,
                name: name.trim(),
                why: why.trim(),
                polygon: polygon.map((corner) => [...corner]),
              })),
            } satisfies MasksDraft,
          }),
        { action: 'unmask', points: [point], ...aroundNow(Date.now()) },
      ),
    renew: [masksKey(point.id)],
    then: (made) => {
      if (made !== null) onClose()
    },
  })
  useEffect(() => {
    if (drawing === null) return
    const keys = (event: KeyboardEvent) => {
      if (event.key === 'Escape') setDrawing(null)
      else if (event.key === 'Backspace') setDrawing((old) => old?.slice(0, -1) ?? null)
      else return
      event.stopPropagation()
      event.preventDefault()
    }
    window.addEventListener('keydown', keys, true)
    return () => window.removeEventListener('keydown', keys, true)
  }, [drawing])
  const faults = drawn.map((one) => faultOf(one.polygon))
  const wrong = faults.find((one) => one !== null) ?? null
  const full = drawn.length >= MOST_MASKS ? t('media:masks.full', { n: MOST_MASKS }) : null
  const loosens = masks.items.some((mask) => {
    const now = drawn.find((one) => one.id === mask.id)
    return now === undefined || now.preset !== mask.preset || !same(now.polygon, drawnOf(mask).polygon)
  })
  return (
    <div className="mask-editor">
      <div className="mask-left">
        <Still point={point}>
          {(width, height) => (
            <Canvas
              width={width}
              height={height}
              polygons={drawn}
              selected={selected}
              onSelect={setSelected}
              onChange={(n, polygon) => change(n, { polygon })}
              onRemove={remove}
              drawing={drawing}
              onDrawing={setDrawing}
              onDrawn={add}
            />
          )}
        </Still>
        <div className="mask-tools">
          <Act
            icon={<EditOutlined />}
            type={drawing === null ? 'default' : 'primary'}
            reason={full}
            aria-pressed={drawing !== null}
            run={() => {
              setSelected(null)
              setDrawing(drawing === null ? [] : null)
            }}
          >
            {t('media:masks.draw')}
          </Act>
          <Act icon={<BorderOuterOutlined />} reason={full} run={() => add(RECTANGLE)}>
            {t('media:masks.rectangle')}
          </Act>
          <span className="muted" role="status">
            {t(drawing === null ? 'media:masks.how' : 'media:masks.how_draw')}
          </span>
        </div>
      </div>
      <div className="mask-right">
        {drawn.length === 0 ? (
          <Face kind="empty" text={t('media:masks.none')} detail={t('media:masks.none_how')} />
        ) : (
          <ol className="mask-list">
            {drawn.map((one, n) => (
              <li key={one.id ?? `new-${n}`} data-selected={n === selected} onFocus={() => setSelected(n)}>
                <div className="mask-row">
                  <Input
                    value={one.name}
                    maxLength={60}
                    placeholder={t('media:masks.nameless', { n: n + 1 })}
                    aria-label={t('media:masks.name', { n: n + 1 })}
                    onChange={(event) => change(n, { name: event.target.value })}
                  />
                  <Tooltip title={t('media:masks.preset_hint')}>
                    <InputNumber<number>
                      value={one.preset}
                      min={1}
                      max={255}
                      precision={0}
                      placeholder={t('media:masks.every_view')}
                      aria-label={t('media:masks.preset', { n: n + 1 })}
                      onChange={(preset) => change(n, { preset })}
                    />
                  </Tooltip>
                  <Tooltip title={t('media:masks.remove')}>
                    <Button
                      type="text"
                      icon={<DeleteOutlined />}
                      aria-label={t('media:masks.remove_n', { n: n + 1 })}
                      onClick={() => remove(n)}
                    />
                  </Tooltip>
                </div>
                <Input
                  value={one.why}
                  maxLength={300}
                  placeholder={t('media:masks.reason')}
                  aria-label={t('media:masks.reason_n', { n: n + 1 })}
                  onChange={(event) => change(n, { why: event.target.value })}
                />
                <small className={faults[n] ? 'mask-fault' : 'muted'}>
                  {faults[n]
                    ? t(`media:masks.fault.${faults[n]}`)
                    : one.last
                      ? t('media:masks.last', { who: one.last.changed_by, at: stamp(one.last.changed_at) })
                      : t('media:masks.new')}
                </small>
              </li>
            ))}
          </ol>
        )}
        <Alert type="info" title={t('media:masks.cost_live')} />
        {loosens ? <Alert type="warning" showIcon title={t('media:masks.loosens')} /> : null}
        <div className="mask-acts">
          <Button onClick={onClose}>{t('shared:cancel')}</Button>
          <Act
            type="primary"
            reason={
              wrong !== null
                ? t(`media:masks.fault.${wrong}`)
                : drawing !== null
                  ? t('media:masks.unfinished')
                  : null
            }
            loading={save.isPending}
            run={() => save.mutate(undefined)}
          >
            {t('shared:save')}
          </Act>
        </div>
      </div>
    </div>
  )
}

const same = (one: Polygon, other: Polygon): boolean =>
  one.length === other.length && one.every(([x, y], n) => x === other[n]?.[0] && y === other[n][1])

interface StillProps {
  point: Named
  children: (width: number, height: number) => React.ReactNode
}

/** A picture of now with something drawn over it. */
function Still({ point, children }: StillProps) {
  const { t } = useTranslation()
  const reasons = useReasons()
  const [size, setSize] = useState<[number, number] | null>(null)
  const still = useQuery({
    queryKey: ['mask-still', point.id],
    staleTime: Infinity,
    gcTime: 0,
    retry: 1,
    queryFn: ({ signal }) =>
      reasons.insist(() => {
        const url = urlOf(`/points/${point.id}/snapshot`, { stream: 'main', width: STILL_WIDTH })
        return fetchPicture(url, signal)
      }, null),
  })
  const url = useObjectUrl(still.data)
  // Without a picture one can still see and change what is covered.
  const [width, height] = size ?? [16 * 80, 9 * 80]
  return (
    <div className="mask-still" style={{ aspectRatio: `${width} / ${height}` }}>
      {url ? (
        <img
          src={url}
          alt={t('media:live.alt', { name: point.name })}
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => {
            if (naturalWidth > 0) setSize([naturalWidth, naturalHeight])
          }}
        />
      ) : null}
      {still.isFetching ? <Loading /> : null}
      {still.error ? (
        <p className="mask-no-still" role="alert">
          {t('media:masks.no_still', { reason: said(still.error.message) })}{' '}
          <Button size="small" icon={<ReloadOutlined />} onClick={() => void still.refetch()}>
            {t('shared:face.retry')}
          </Button>
        </p>
      ) : null}
      {children(width, height)}
    </div>
  )
}
