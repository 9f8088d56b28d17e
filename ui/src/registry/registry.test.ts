import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Point, StateSpan } from '../api/types'
import { POINTS_SHOWN, readPoints } from './queries'
import { slices } from './StateStrip'

const MINUTE = 60_000
const iso = (minutes: number) => new Date(minutes * MINUTE).toISOString()

describe('slices of a day of state', () => {
  const span = (start: number, end: number | null, state: StateSpan['state']): StateSpan => ({
    start: iso(start),
    end: end === null ? null : iso(end),
    state,
    cause: '',
    reason: '',
  })
  const states = (spans: StateSpan[]) => slices(spans, 0, 60 * MINUTE, 6).map(({ state }) => state)

  it('lets the worst state in a slice win, however short', () => {
    expect(states([span(0, 25, 'online'), span(25, 26, 'offline'), span(26, 60, 'online')])).toEqual([
      'online',
      'online',
      'offline',
      'online',
      'online',
      'online',
    ])
  })
  it('is half open: a span that ends where a slice starts does not touch it', () => {
    expect(states([span(0, 10, 'offline')])).toEqual(['offline', 'none', 'none', 'none', 'none', 'none'])
  })
  it('runs open spans up to now and cuts what lies outside', () => {
    expect(states([span(-30, 5, 'unknown'), span(45, null, 'online'), span(80, 90, 'offline')])).toEqual([
      'unknown',
      'none',
      'none',
      'none',
      'online',
      'online',
    ])
  })
  it('takes an empty or backward span for nothing', () => {
    expect(new Set(states([span(20, 20, 'offline'), span(40, 30, 'offline')]))).toEqual(new Set(['none']))
  })
})

describe('readPoints', () => {
  afterEach(() => vi.unstubAllGlobals())
  const serve = (total: number) => {
    const asked: string[] = []
    vi.stubGlobal('fetch', (url: string) => {
      asked.push(url)
      const query = new URL(url, 'http://x').searchParams
      const from = Number(query.get('cursor') ?? 0)
      const size = Number(query.get('limit'))
      const items = Array.from({ length: Math.min(size, total - from) }, (_, i) => ({ id: String(from + i) }))
      return Promise.resolve(Response.json({ items, next: from + size < total ? String(from + size) : null }))
    })
    return asked
  }

  it('reads to the end', async () => {
    const asked = serve(1_200)
    const list = await readPoints({ kind: 'camera' }, () => true)
    expect(list.items).toHaveLength(1_200)
    expect(list.cut).toBe(false)
    expect(asked).toHaveLength(3)
    expect(asked[0]).toContain('kind=camera')
  })
  it('stops at the most it lists and says so', async () => {
    serve(1_000_000)
    const list = await readPoints({}, () => true)
    expect(list.items).toHaveLength(POINTS_SHOWN)
    expect(list.cut).toBe(true)
  })
  it('keeps only what is inside', async () => {
    serve(700)
    const list = await readPoints({}, (point: Point) => Number(point.id) % 7 === 0)
    expect(list.items).toHaveLength(100)
    expect(list.cut).toBe(false)
  })
  it('throws what the server refuses', async () => {
    vi.stubGlobal('fetch', () =>
      Promise.resolve(Response.json({ kind: 'forbidden', reason: 'no', hint: null }, { status: 403 })),
    )
    await expect(readPoints({}, () => true)).rejects.toMatchObject({ status: 403 })
  })
})
