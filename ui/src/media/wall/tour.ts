import { useCallback, useEffect, useRef, useState } from 'react'
import type { Layout, Tour } from '../../api/types'
import { useNow } from '../../shared/useNow'

export interface TourStep {
  layout: Layout
  seconds: number
}

/** The steps whose layouts still are there. */
export function stepsOf(tour: Tour, layouts: readonly Layout[]): TourStep[] {
  return tour.steps.flatMap(({ layout, seconds }) => {
    const found = layouts.find((one) => one.id === layout)
    return found ? [{ layout: found, seconds }] : []
  })
}

/** The step so many further, round and round. */
export const after = (step: number, by: number, amount: number) => (((step + by) % amount) + amount) % amount

interface Run {
  tour: Tour
  steps: TourStep[]
  at: number
  /** When the next step comes; null: it stands still with `left` to go. */
  until: number | null
  left: number
}

export interface Touring {
  name: string
  at: number
  amount: number
  layout: string
  secondsLeft: number
  paused: boolean
}

/** A tour that runs: layouts one after another. `onShow` puts one on the wall. */
export function useTour(onShow: (layout: Layout) => void) {
  const [run, setRun] = useState<Run | null>(null)
  const now = useNow(500)
  const show = useRef(onShow)
  useEffect(() => {
    show.current = onShow
  })
  const step = useCallback((old: Run, at: number): Run => {
    const next = old.steps[at]
    const left = (next?.seconds ?? 10) * 1000
    return { ...old, at, left, until: old.until === null ? null : Date.now() + left }
  }, [])
  const go = useCallback(
    (by: number) => setRun((old) => old && step(old, after(old.at, by, old.steps.length))),
    [step],
  )
  const start = useCallback(
    (tour: Tour, layouts: readonly Layout[]) => {
      const steps = stepsOf(tour, layouts)
      if (steps.length === 0) return false
      setRun(step({ tour, steps, at: 0, until: 0, left: 0 }, 0))
      return true
    },
    [step],
  )
  const stop = useCallback(() => setRun(null), [])
  const pause = useCallback(
    () =>
      setRun((old) =>
        old === null || old.until === null
          ? old
          : { ...old, left: Math.max(1_000, old.until - Date.now()), until: null },
      ),
    [],
  )
  const resume = useCallback(() => setRun((old) => old && { ...old, until: Date.now() + old.left }), [])

  const shown = run?.steps[run.at]?.layout
  useEffect(() => {
    if (shown) show.current(shown)
  }, [shown, run?.at])
  const due = run !== null && run.until !== null && now >= run.until
  useEffect(() => {
    if (due) go(1)
  }, [due, go])

  const touring: Touring | null = run && {
    name: run.tour.name,
    at: run.at,
    amount: run.steps.length,
    layout: shown?.name ?? '',
    secondsLeft: Math.max(0, Math.ceil((run.until === null ? run.left : run.until - now) / 1000)),
    paused: run.until === null,
  }
  return { touring, start, stop, pause, resume, go }
}
