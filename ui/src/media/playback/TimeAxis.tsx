import { useEffect, useLayoutEffect, useRef, useState, type PointerEvent } from 'react'
import { useTranslation } from 'react-i18next'
import type { TFunction } from 'i18next'
import type { AxisRow } from '../../api/types'
import { clock as clockText, dayClock } from '../../shared/format'
import { useTheme } from '../../theme/preference'
import { tokens } from '../../theme/tokens'
import type { MasterClock } from '../player/MasterClock'
import { panBy, selection, spanOf, timeAt, xOf, zoomAt, type Stretch, type View } from './axis'
import { paint, ROW, RULER, under, type Scene, type Under } from './paint'
import { said } from '../../said/said'

interface TimeAxisProps {
  clock: MasterClock
  view: View
  onView: (view: View) => void
  rows: readonly (AxisRow | undefined)[]
  names: readonly string[]
  clip: Stretch | null
  onClip: (clip: Stretch | null) => void
  onSeek: (at: number) => void
}

const CLICK_PX = 4

/** Recordings, gaps, events and locks of each camera on one ruler; wheel zooms, drag pans, Ctrl-drag selects. */
export function TimeAxis({ clock, view, onView, rows, names, clip, onClip, onSeek }: TimeAxisProps) {
  const { t } = useTranslation()
  const colours = tokens[useTheme()]
  const holder = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const head = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(800)
  /** x, y: in the window, since the axis is too low to hold what is told above the pointer. */
  const [hover, setHover] = useState<{ x: number; y: number; at: number; what: Under | null } | null>(null)
  const height = RULER + rows.length * ROW
  const scene = useRef<Scene>({ view, width, rows, clip, now: 0, colours })

  useLayoutEffect(() => {
    const element = holder.current
    if (element === null) return
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setWidth(Math.max(100, Math.round(entry.contentRect.width)))
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  useLayoutEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    scene.current = { view, width, rows, clip, now: Date.now(), colours }
    if (!element || !context) return
    const dense = window.devicePixelRatio
    element.width = Math.round(width * dense)
    element.height = Math.round(height * dense)
    context.setTransform(dense, 0, 0, dense, 0, 0)
    paint(context, scene.current)
  }, [view, width, height, rows, clip, colours])

  // The playhead moves by itself; the canvas is drawn again only when what it shows changes.
  useEffect(() => {
    let frame = 0
    const move = () => {
      if (head.current) {
        const x = xOf(scene.current.view, scene.current.width, clock.at)
        head.current.style.transform = `translateX(${x}px)`
        head.current.hidden = x < -1 || x > scene.current.width + 1
      }
      frame = requestAnimationFrame(move)
    }
    frame = requestAnimationFrame(move)
    return () => cancelAnimationFrame(frame)
  }, [clock])

  useEffect(() => {
    const element = canvas.current
    if (element === null) return
    const onWheel = (event: WheelEvent) => {
      event.preventDefault()
      const { view: now, width: wide } = scene.current
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        onView(panBy(now, ((event.deltaX || event.deltaY) / wide) * spanOf(now)))
      } else {
        onView(zoomAt(now, timeAt(now, wide, event.offsetX), Math.exp(event.deltaY / 500)))
      }
    }
    element.addEventListener('wheel', onWheel, { passive: false })
    return () => element.removeEventListener('wheel', onWheel)
  }, [onView])

  const onPointerDown = (event: PointerEvent<HTMLCanvasElement>) => {
    if (event.button !== 0) return
    const element = event.currentTarget
    element.setPointerCapture(event.pointerId)
    const box = element.getBoundingClientRect()
    const startX = event.clientX - box.left
    const before = scene.current.view
    const startAt = timeAt(before, width, startX)
    const selecting = event.ctrlKey || event.metaKey
    const scrubbing = !selecting && event.clientY - box.top < RULER
    let moved = false
    if (scrubbing) onSeek(Math.min(startAt, Date.now()))
    const move = (next: globalThis.PointerEvent) => {
      const x = next.clientX - box.left
      if (Math.abs(x - startX) > CLICK_PX) moved = true
      if (!moved) return
      if (selecting) onClip(selection(startAt, timeAt(before, width, x), Date.now()))
      else if (scrubbing) onSeek(Math.min(timeAt(before, width, x), Date.now()))
      else onView(panBy(before, ((startX - x) / width) * spanOf(before)))
    }
    const stop = () => {
      element.removeEventListener('pointermove', move)
      element.removeEventListener('pointerup', stop)
      element.removeEventListener('pointercancel', stop)
      if (!moved && !scrubbing && !selecting) onSeek(Math.min(startAt, Date.now()))
    }
    element.addEventListener('pointermove', move)
    element.addEventListener('pointerup', stop)
    element.addEventListener('pointercancel', stop)
  }
  const onHover = (event: PointerEvent<HTMLCanvasElement>) => {
    const { offsetX: x, offsetY: y } = event.nativeEvent
    const found = under(scene.current, x, y)
    setHover({ x: event.clientX, y: event.clientY, at: timeAt(view, width, x), what: found?.what ?? null })
  }
  return (
    <div className="axis">
      <div className="axis-names" style={{ paddingTop: RULER }}>
        {names.map((name, n) => (
          <div key={n} style={{ height: ROW }} title={name}>
            <span>{name}</span>
          </div>
        ))}
      </div>
      <div className="axis-bars" ref={holder} style={{ height }}>
        <canvas
          ref={canvas}
          style={{ width, height }}
          role="img"
          aria-label={t('media:play.axis')}
          onPointerDown={onPointerDown}
          onPointerMove={onHover}
          onPointerLeave={() => setHover(null)}
        />
        <div ref={head} className="axis-head" style={{ height }} aria-hidden />
        {hover ? (
          <div
            className="axis-hint"
            style={{
              bottom: window.innerHeight - hover.y,
              ...(hover.x > window.innerWidth / 2
                ? { right: window.innerWidth - hover.x + 12 }
                : { left: hover.x + 12 }),
            }}
          >
            <b>{dayClock(hover.at)}</b>
            {hover.what && hover.what.is !== 'time' ? <span>{told(hover.what, t)}</span> : null}
          </div>
        ) : null}
      </div>
    </div>
  )
}

/** `3 分 30 秒` */
export function lengthText(ms: number, t: TFunction): string {
  const s = Math.round(ms / 1000)
  if (s >= 3600)
    return t('media:play.duration.h', { h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) })
  if (s >= 60) return t('media:play.duration.m', { m: Math.floor(s / 60), s: s % 60 })
  return t('media:play.duration.s', { s })
}

function told(what: Exclude<Under, { is: 'time' }>, t: TFunction): string {
  switch (what.is) {
    case 'gap': {
      const cause = t(`media:play.cause.${what.cause}`, { defaultValue: what.cause })
      const length = lengthText(what.end - what.start, t)
      return [`${cause} · ${clockText(what.start)} – ${clockText(what.end)} · ${length}`, said(what.detail)]
        .filter((part) => part)
        .join(' · ')
    }
    case 'event': {
      const kind = t(`media:play.event.${what.kind}`, { defaultValue: what.kind })
      const until = what.until === null ? '' : ` – ${clockText(what.until)}`
      const times = what.count > 1 ? t('media:play.event.times', { n: what.count }) : ''
      return [`${clockText(what.at)}${until} ${kind}`, times, what.text].filter((part) => part).join(' · ')
    }
    case 'device':
      return t('media:device.file', {
        kind: t(`media:device.kind.${what.kind}`, { defaultValue: what.kind }),
        from: clockText(what.start),
        to: clockText(what.end),
      })
    case 'hold':
      return t('media:play.hold_of', { reason: what.reasons.join(' · ') })
  }
}
