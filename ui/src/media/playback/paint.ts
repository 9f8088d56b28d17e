import type { AxisRow } from '../../api/types'
import type { Tokens } from '../../theme/tokens'
import { dayClock } from '../../shared/format'
import { DAY, ticks, timeAt, xOf, type Stretch, type View } from './axis'

export const RULER = 22
export const ROW = 40
const LANE = { wedge: 1, motion: 8, motionHigh: 12, bar: 21, barHigh: 11, hold: 34 }

export interface Scene {
  view: View
  width: number
  rows: readonly (AxisRow | undefined)[]
  clip: Stretch | null
  now: number
  colours: Tokens
}

function hatching(context: CanvasRenderingContext2D, colour: string): CanvasPattern | null {
  const tile = document.createElement('canvas')
  tile.width = tile.height = 8
  const one = tile.getContext('2d')
  if (!one) return null
  one.strokeStyle = colour
  one.lineWidth = 1.2
  one.beginPath()
  for (const shift of [-8, 0, 8]) {
    one.moveTo(shift, 8)
    one.lineTo(shift + 8, 0)
  }
  one.stroke()
  return context.createPattern(tile, 'repeat')
}

/** A mark of an event by its kind, told by shape as well as by colour, with its middle at `at`. */
function mark(context: CanvasRenderingContext2D, colours: Tokens, kind: string, at: number, top: number) {
  context.beginPath()
  switch (kind) {
    case 'alarm':
      context.fillStyle = colours.l1
      context.moveTo(at - 5, top)
      context.lineTo(at + 5, top)
      context.lineTo(at, top + 8)
      break
    case 'motion':
      context.fillStyle = colours.mot
      context.arc(at, top + 4, 4, 0, 2 * Math.PI)
      break
    case 'fault':
      context.fillStyle = colours.bad
      context.rect(at - 3.5, top + 0.5, 7, 7)
      break
    default:
      context.fillStyle = colours.fg1
      context.moveTo(at, top)
      context.lineTo(at + 4, top + 4)
      context.lineTo(at, top + 8)
      context.lineTo(at - 4, top + 4)
  }
  context.fill()
}

/** A strip with ends that clasp the recording, and a padlock where there is room for one. */
function held(context: CanvasRenderingContext2D, colours: Tokens, from: number, to: number, top: number) {
  const strip = top + LANE.hold + 1
  context.fillStyle = colours.lock
  context.fillRect(from, strip, to - from, 2)
  for (const end of [from, to - 1.5])
    context.fillRect(end, top + LANE.bar - 2, 1.5, strip + 2 - (top + LANE.bar - 2))
  const left = Math.max(0, from) + 3
  if (to - left < 12) return
  context.clearRect(left - 1, strip - 3, 9, 8)
  context.fillRect(left, strip - 0.5, 7, 4.5)
  context.strokeStyle = colours.lock
  context.lineWidth = 1.2
  context.beginPath()
  context.arc(left + 3.5, strip - 0.5, 2, Math.PI, 2 * Math.PI)
  context.stroke()
}

/** Draws the whole axis in CSS pixels; the caller has scaled the context for the screen. */
export function paint(
  context: CanvasRenderingContext2D,
  { view, width, rows, clip, now, colours }: Scene,
): void {
  const height = RULER + rows.length * ROW
  const x = (at: number) => xOf(view, width, at)
  context.clearRect(0, 0, width, height)
  const { step, ticks: marks } = ticks(view, width)
  context.font = '11px "Inter Variable", sans-serif'
  context.textBaseline = 'middle'
  for (const { at, day } of marks) {
    const left = Math.round(x(at)) + 0.5
    context.strokeStyle = day ? colours.line2 : colours.line
    context.lineWidth = 1
    context.beginPath()
    context.moveTo(left, RULER - 4)
    context.lineTo(left, height)
    context.stroke()
    const label = dayClock(at)
    const text = step >= DAY || day ? label.slice(0, 5) : label.slice(6, 11)
    const wide = context.measureText(text).width
    context.fillStyle = day ? colours.fg0 : colours.fg2
    context.fillText(text, Math.max(2, Math.min(width - wide - 2, left - wide / 2)), RULER / 2)
  }
  const hatch = hatching(context, colours.fg2)
  const hatchBad = hatching(context, colours.bad)
  for (const [index, row] of rows.entries()) {
    const top = RULER + index * ROW
    context.fillStyle = colours.bg0
    context.fillRect(0, top + LANE.motion, width, LANE.motionHigh)
    if (row === undefined) continue
    const bar = top + LANE.bar
    context.fillStyle = colours.rec
    for (const { start, end } of row.spans) {
      const from = x(Date.parse(start))
      const to = x(Date.parse(end))
      if (to > 0 && from < width) context.fillRect(from, bar, Math.max(1, to - from), LANE.barHigh)
    }
    for (const { start, end, cause } of row.gaps) {
      const from = x(Date.parse(start))
      const wide = Math.max(1.5, x(Date.parse(end)) - from)
      if (from + wide < 0 || from > width) continue
      const planned = cause === 'not_planned' || cause === 'no_event' || cause === 'deleted'
      context.fillStyle = colours.bg1
      context.fillRect(from, bar, wide, LANE.barHigh)
      const pattern = planned ? hatch : hatchBad
      if (pattern) context.fillStyle = pattern
      context.globalAlpha = planned ? 0.5 : 1
      context.fillRect(from, bar, wide, LANE.barHigh)
      context.globalAlpha = 1
      if (!planned && wide > 6) {
        context.strokeStyle = colours.bad
        context.strokeRect(from + 0.5, bar + 0.5, wide - 1, LANE.barHigh - 1)
      }
    }
    for (const { start, end } of row.device ?? []) {
      // Each file on the device: a hollow box with a line through it, whatever the platform has.
      const from = x(Date.parse(start))
      const wide = Math.max(2, x(Date.parse(end)) - from)
      if (from + wide < 0 || from > width) continue
      context.fillStyle = colours.bg1
      context.fillRect(from, bar, wide, LANE.barHigh)
      context.fillStyle = colours.accent
      context.fillRect(from, bar + LANE.barHigh / 2 - 1, wide, 2)
      if (wide > 3) {
        context.strokeStyle = colours.accent
        context.lineWidth = 1
        context.strokeRect(from + 0.5, bar + 0.5, wide - 1, LANE.barHigh - 1)
      }
    }
    for (const { start, end } of row.holds) {
      const from = x(Date.parse(start))
      const to = Math.max(from + 2, x(Date.parse(end)))
      if (to > 0 && from < width) held(context, colours, from, to, top)
    }
    for (const event of row.events) {
      const at = x(Date.parse(event.at))
      if (at < -6 || at > width + 6) continue
      mark(context, colours, event.kind, at, top + LANE.wedge)
    }
  }
  if (now < view.to) {
    const from = x(now)
    context.fillStyle = colours.bg2
    context.globalAlpha = 0.7
    context.fillRect(Math.max(0, from), RULER, width, height - RULER)
    context.globalAlpha = 1
  }
  if (clip) {
    const from = x(clip.start)
    const to = x(clip.end)
    context.fillStyle = colours.accent
    context.globalAlpha = 0.22
    context.fillRect(from, RULER, to - from, height - RULER)
    context.globalAlpha = 1
    context.fillRect(from, RULER, 1.5, height - RULER)
    context.fillRect(to - 1.5, RULER, 1.5, height - RULER)
  }
}

export type Under =
  | { is: 'gap'; start: number; end: number; cause: string; detail: string | null }
  | { is: 'event'; at: number; kind: string; text: string; count: number; until: number | null }
  | { is: 'hold'; reasons: readonly string[] }
  | { is: 'device'; start: number; end: number; kind: string }
  | { is: 'time' }

/** What lies under the pointer. */
export function under(scene: Scene, px: number, py: number): { row: number; at: number; what: Under } | null {
  const row = Math.floor((py - RULER) / ROW)
  const at = timeAt(scene.view, scene.width, px)
  const data = scene.rows[row]
  if (row < 0 || data === undefined) return null
  const inRow = py - RULER - row * ROW
  const reach = (scene.view.to - scene.view.from) / scene.width
  if (inRow < LANE.bar) {
    const event = data.events.find((one) => Math.abs(Date.parse(one.at) - at) < reach * 6)
    if (event)
      return {
        row,
        at,
        what: {
          is: 'event',
          at: Date.parse(event.at),
          kind: event.kind,
          text: event.text,
          count: event.count,
          until: event.end === null ? null : Date.parse(event.end),
        },
      }
  }
  if (inRow >= LANE.hold - 1) {
    const holds = data.holds.filter(
      (one) => Date.parse(one.start) - reach * 2 <= at && at <= Date.parse(one.end) + reach * 2,
    )
    if (holds.length > 0) return { row, at, what: { is: 'hold', reasons: holds.map((one) => one.reason) } }
  }
  const file = data.device?.find((one) => Date.parse(one.start) <= at && at <= Date.parse(one.end))
  if (file)
    return {
      row,
      at,
      what: { is: 'device', start: Date.parse(file.start), end: Date.parse(file.end), kind: file.kind },
    }
  const gap = data.gaps.find(
    (one) => Date.parse(one.start) - reach * 2 <= at && at <= Date.parse(one.end) + reach * 2,
  )
  if (gap)
    return {
      row,
      at,
      what: {
        is: 'gap',
        start: Date.parse(gap.start),
        end: Date.parse(gap.end),
        cause: gap.cause,
        detail: gap.detail,
      },
    }
  return { row, at, what: { is: 'time' } }
}
