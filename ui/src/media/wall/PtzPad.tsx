import { CloseOutlined, DeleteOutlined, MinusOutlined, PlusOutlined, SaveOutlined } from '@ant-design/icons'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, InputNumber, Popconfirm, Slider, Tooltip } from 'antd'
import { useEffect, useMemo, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched, request } from '../../api/client'
import type { Id, Page, Preset, PtzAct, PtzCommand } from '../../api/types'
import { typing, useKeys } from '../../shared/keys'
import { HeadMore } from '../device/HeadMore'
import { direction, PtzHold } from './ptz'
import { useHead } from './useHead'
import { said } from '../../said/said'
import './ptz.css'

interface PtzPadProps {
  point: Id
  onClose: () => void
}

const DIRECTIONS: readonly [name: string, pan: number, tilt: number][] = [
  ['up_left', -1, 1],
  ['up', 0, 1],
  ['up_right', 1, 1],
  ['left', -1, 0],
  ['right', 1, 0],
  ['down_left', -1, -1],
  ['down', 0, -1],
  ['down_right', 1, -1],
]
const HELD_KEYS = new Set(['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', '+', '-', '=', '_'])
const SPEED_KEY = 'anwang.ptz.speed'

function storedSpeed(): number {
  const value = Number(localStorage.getItem(SPEED_KEY) ?? 40)
  return value >= 5 && value <= 100 ? value : 40
}

/** Turning a camera: held buttons and keys move it, release always stops it. */
export function PtzPad({ point, onClose }: PtzPadProps) {
  const { t } = useTranslation()
  const client = useQueryClient()
  const [speed, setSpeed] = useState(storedSpeed)
  const [refusal, setRefusal] = useState<string | null>(null)
  const [number, setNumber] = useState(1)
  const speedNow = useRef(speed)
  useEffect(() => {
    speedNow.current = speed
    localStorage.setItem(SPEED_KEY, String(speed))
  }, [speed])

  const send = useMemo(
    () => async (command: PtzCommand) => {
      const outcome = await request<undefined>('POST', `/points/${point}/ptz`, { json: command })
      if (outcome.kind === 'error') {
        const { reason, hint } = outcome.error
        setRefusal([said(reason), said(hint)].filter(Boolean).join(' — '))
        return false
      }
      if (command.act !== 'stop' && command.act !== 'lens_stop') setRefusal(null)
      return true
    },
    [point],
  )
  const hold = useMemo(() => new PtzHold(send), [send])
  useEffect(() => () => hold.release(), [hold])

  const head = useHead(point, true)
  const holder = head?.holder ?? null
  const other = holder !== null && !holder.mine ? holder : null
  const presets = useQuery({
    queryKey: ['presets', point],
    queryFn: ({ signal }) => fetched<Page<Preset>>('GET', `/points/${point}/presets`, { signal }),
  })
  const preset = (act: PtzAct, preset: number) => {
    void send({ act, preset }).then((done) => {
      if (done && act !== 'preset_go') void client.invalidateQueries({ queryKey: ['presets', point] })
    })
  }

  // Keys are held, so both ends count; leaving the window lets go of all of them.
  useEffect(() => {
    const held = new Set<string>()
    const move = () => {
      const { pan, tilt, zoom } = direction(held)
      const k = speedNow.current / 100
      if (pan === 0 && tilt === 0 && zoom === 0) hold.release()
      else hold.hold({ act: 'move', pan: pan * k, tilt: tilt * k, zoom: zoom * k })
    }
    const down = (event: KeyboardEvent) => {
      if (!HELD_KEYS.has(event.key) || event.ctrlKey || event.altKey || typing(event.target)) return
      if (event.target instanceof HTMLElement && event.target.closest('[role=slider],[role=tree]')) return
      event.preventDefault()
      event.stopPropagation()
      if (event.repeat || held.has(event.key)) return
      held.add(event.key)
      move()
    }
    const up = (event: KeyboardEvent) => {
      // With Shift let go first, "+" comes up as "=".
      const pairs: Record<string, string> = { '+': '=', '=': '+', '-': '_', _: '-' }
      const had = held.delete(event.key)
      const pair = held.delete(pairs[event.key] ?? '')
      if (had || pair) move()
    }
    const leave = () => {
      held.clear()
      hold.release()
    }
    const hidden = () => {
      if (document.hidden) leave()
    }
    window.addEventListener('keydown', down, true)
    window.addEventListener('keyup', up, true)
    window.addEventListener('blur', leave)
    document.addEventListener('visibilitychange', hidden)
    return () => {
      window.removeEventListener('keydown', down, true)
      window.removeEventListener('keyup', up, true)
      window.removeEventListener('blur', leave)
      document.removeEventListener('visibilitychange', hidden)
    }
  }, [hold])

  const nothing = () => undefined
  useKeys(t('media:ptz.title'), [
    { keys: 'ArrowUp', label: t('media:ptz.key_turn'), run: nothing },
    { keys: '+', label: t('media:ptz.zoom_in'), run: nothing },
    { keys: '-', label: t('media:ptz.zoom_out'), run: nothing },
    ...Array.from({ length: 9 }, (_, n) => ({
      keys: String(n + 1),
      label: t('media:ptz.key_preset', { n: n + 1 }),
      run: () => preset('preset_go', n + 1),
    })),
    { keys: 'Escape', label: t('shared:close'), run: onClose },
  ])

  const held = (command: () => PtzCommand) => ({
    onPointerDown: (event: React.PointerEvent<HTMLElement>) => {
      if (event.button !== 0) return
      event.stopPropagation()
      event.currentTarget.setPointerCapture(event.pointerId)
      hold.hold(command())
    },
    onPointerUp: () => hold.release(),
    onPointerCancel: () => hold.release(),
    onLostPointerCapture: () => hold.release(),
    onKeyDown: (event: React.KeyboardEvent) => {
      if ((event.key === ' ' || event.key === 'Enter') && !event.repeat) {
        event.preventDefault()
        hold.hold(command())
      }
    },
    onKeyUp: () => hold.release(),
    onBlur: () => hold.release(),
  })
  const moving = (pan: number, tilt: number, zoom: number) =>
    held(() => {
      const k = speed / 100
      return { act: 'move', pan: pan * k, tilt: tilt * k, zoom: zoom * k }
    })
  const lens = (act: PtzAct) => held(() => ({ act }))
  const pair = (
    name: string,
    minus: ReturnType<typeof held>,
    plus: ReturnType<typeof held>,
    a: string,
    b: string,
  ) => (
    <div className="ptz-pair">
      <button type="button" aria-label={a} title={a} {...minus}>
        <MinusOutlined />
      </button>
      <span>{name}</span>
      <button type="button" aria-label={b} title={b} {...plus}>
        <PlusOutlined />
      </button>
    </div>
  )
  return (
    <section
      className="ptz"
      aria-label={t('media:ptz.title')}
      onPointerDown={(event) => event.stopPropagation()}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      <header>
        <b>{t('media:ptz.title')}</b>
        <Button
          type="text"
          size="small"
          icon={<CloseOutlined />}
          aria-label={t('shared:close')}
          onClick={onClose}
        />
      </header>
      {other ? (
        <p className="ptz-holder" role="status">
          {t(head?.may_take ? 'media:ptz.may_take' : 'media:ptz.held_by', { name: other.name })}
        </p>
      ) : null}
      {refusal && !other ? (
        <p className="ptz-refusal" role="alert">
          {refusal}
        </p>
      ) : null}
      <div className="ptz-pad">
        {DIRECTIONS.map(([name, pan, tilt]) => (
          <button
            key={name}
            type="button"
            className={`ptz-${name}`}
            aria-label={t(`media:ptz.${name}`)}
            title={t(`media:ptz.${name}`)}
            {...moving(pan, tilt, 0)}
          >
            <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden>
              <path
                d="M8 3l5 8H3z"
                fill="currentColor"
                transform={`rotate(${(Math.atan2(pan, tilt) * 180) / Math.PI} 8 8)`}
              />
            </svg>
          </button>
        ))}
        <span className="ptz-middle" aria-hidden />
      </div>
      <div className="ptz-pairs">
        {pair(
          t('media:ptz.zoom'),
          moving(0, 0, -1),
          moving(0, 0, 1),
          t('media:ptz.zoom_out'),
          t('media:ptz.zoom_in'),
        )}
        {pair(
          t('media:ptz.focus'),
          lens('focus_near'),
          lens('focus_far'),
          t('media:ptz.focus_near'),
          t('media:ptz.focus_far'),
        )}
        {pair(
          t('media:ptz.iris'),
          lens('iris_close'),
          lens('iris_open'),
          t('media:ptz.iris_close'),
          t('media:ptz.iris_open'),
        )}
      </div>
      <label className="ptz-speed">
        <span>{t('media:ptz.speed')}</span>
        <Slider
          min={5}
          max={100}
          step={5}
          value={speed}
          onChange={setSpeed}
          ariaLabelForHandle={t('media:ptz.speed')}
        />
      </label>
      <ul className="ptz-presets">
        {(presets.data?.items ?? []).map((one) => (
          <li key={one.preset}>
            <button type="button" onClick={() => preset('preset_go', one.preset)}>
              <kbd>{one.preset}</kbd> {one.name || t('media:ptz.preset_n', { n: one.preset })}
            </button>
            <Popconfirm
              title={t('media:ptz.delete_sure', { n: one.preset })}
              okText={t('shared:delete')}
              cancelText={t('shared:cancel')}
              onConfirm={() => preset('preset_delete', one.preset)}
            >
              <Button
                type="text"
                size="small"
                icon={<DeleteOutlined />}
                aria-label={`${t('shared:delete')} ${one.preset}`}
              />
            </Popconfirm>
          </li>
        ))}
        {presets.data?.items.length === 0 ? <li className="muted">{t('media:ptz.no_presets')}</li> : null}
      </ul>
      <div className="ptz-save">
        <InputNumber
          size="small"
          min={1}
          max={255}
          value={number}
          onChange={(value) => setNumber(value ?? 1)}
          aria-label={t('media:ptz.preset_number')}
        />
        <Tooltip title={t('media:ptz.save_hint')}>
          <Button size="small" icon={<SaveOutlined />} onClick={() => preset('preset_set', number)}>
            {t('media:ptz.save')}
          </Button>
        </Tooltip>
      </div>
      <HeadMore point={point} send={send} onRefused={setRefusal} />
    </section>
  )
}
