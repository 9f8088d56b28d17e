import type { DeviceRecord, DeviceRecords, Id } from '../../api/types'
import { fetched } from '../../api/client'
import { HOUR, type Stretch, type View } from '../playback/axis'

/** Files closer together than this are one recording. */
const JOIN_MS = 3_000
/** A device is asked for at most so much at once, and for so many pages. */
const WIDEST_MS = 7 * 24 * HOUR
const MOST_PAGES = 4
/** What the server plays in one go. */
const LONGEST_PLAY_MS = 24 * HOUR

/** What to ask a device for: the view on whole hours, of the last days in it. */
export function askedOfDevice(view: View, now: number): View | null {
  const to = Math.min(Math.ceil(view.to / HOUR) * HOUR, Math.ceil(now / (5 * 60_000)) * 5 * 60_000)
  const from = Math.max(Math.floor(view.from / HOUR) * HOUR, to - WIDEST_MS)
  return to > from ? { from, to } : null
}

/** All pages of a device's recordings. */
export async function readRecords(point: Id, view: View, signal: AbortSignal): Promise<DeviceRecords> {
  const found: DeviceRecords[] = []
  let cursor: string | null = null
  do {
    const page: DeviceRecords = await fetched<DeviceRecords>('GET', `/points/${point}/device-records`, {
      query: { from: new Date(view.from).toISOString(), to: new Date(view.to).toISOString(), cursor },
      signal,
    })
    found.push(page)
    cursor = page.next
  } while (cursor !== null && found.length < MOST_PAGES)
  const worst = (['partial', 'silent', 'complete'] as const).find((one) =>
    found.some((page) => page.answered === one),
  )
  return {
    items: found.flatMap((page) => page.items),
    next: cursor,
    answered: worst ?? 'complete',
    announced: found.reduce((sum, page) => sum + page.announced, 0),
    unusable: found.reduce((sum, page) => sum + page.unusable, 0),
    asked_until: found.at(-1)?.asked_until ?? new Date(view.from).toISOString(),
  }
}

/** Recordings without a break, each no longer than may be played in one go; sorted. */
export function runsOf(records: readonly DeviceRecord[]): Stretch[] {
  const runs: Stretch[] = []
  const sorted = records
    .map(({ start, end }) => ({ start: Date.parse(start), end: Date.parse(end) }))
    .sort((a, b) => a.start - b.start)
  for (const { start, end } of sorted) {
    const last = runs.at(-1)
    if (last && start - last.end <= JOIN_MS) last.end = Math.max(last.end, end)
    else runs.push({ start, end })
  }
  return runs.flatMap(({ start, end }) => {
    const parts: Stretch[] = []
    for (let at = start; at < end; at += LONGEST_PLAY_MS)
      parts.push({ start: at, end: Math.min(end, at + LONGEST_PLAY_MS) })
    return parts
  })
}

/** The recording that a moment lies in; its very last second is its end. */
export const runAt = (runs: readonly Stretch[], at: number): Stretch | null =>
  runs.find((run) => run.start <= at && at < run.end - 1_000) ?? null

/** The recording after a moment. */
export const runAfter = (runs: readonly Stretch[], at: number): Stretch | null =>
  runs.find((run) => run.start > at - 1_000 && run.end - run.start > 1_000) ?? null
