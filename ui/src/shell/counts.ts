import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { fetched } from '../api/client'
import { useEvent } from '../api/events'
import type { Counts } from '../api/types'
import { useCan } from '../governance/session'
import { liveStates } from '../registry/liveState'

export const countsKey = ['counts'] as const

/** Counts by kind, class, owner and state; kept fresh by the event stream. */
export function useCounts() {
  return useQuery({
    queryKey: countsKey,
    staleTime: 60_000,
    queryFn: ({ signal }) => fetched<Counts>('GET', '/counts', { signal }),
  })
}

/** Counts follow every change of a state; asking for them more often than this would only load the server. */
const COUNTS_EVERY_MS = 3_000

/** Mounted once, in the shell: what the stream says becomes what the pages show. */
export function useFreshness(): void {
  const client = useQueryClient()
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const renew = (...keys: string[]) => {
    for (const key of keys) void client.invalidateQueries({ queryKey: [key] })
  }
  const recount = () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined
      renew('counts')
    }, COUNTS_EVERY_MS)
  }
  useEvent('counts', (counts) => {
    if (isWhole(counts)) client.setQueryData(countsKey, counts)
    else recount()
  })
  useEvent('device', ({ waiting }) => {
    client.setQueryData<Counts>(countsKey, (old) => (old ? { ...old, waiting_devices: waiting } : old))
    renew('devices', 'device')
  })
  useEvent('drift', () => renew('drifts'))
  useEvent('points', () => renew('point', 'points', 'counts', 'organisations'))
  // Nobody knows what was missed: whatever is shown is read anew.
  useEvent('lagged', () => void client.invalidateQueries())
  useEffect(
    () =>
      liveStates.onRestart(() => {
        for (const key of ['point', 'points', 'evidence', 'history', 'counts'])
          void client.invalidateQueries({ queryKey: [key] })
      }),
    [client],
  )
}

function isWhole(counts: Partial<Counts>): counts is Counts {
  return counts.total !== undefined && counts.kinds !== undefined
}

/** How many devices wait for this person: nobody is called who may not let them in. */
export function useWaitingDevices(): number {
  const waiting = useCounts().data?.waiting_devices ?? 0
  return useCan().adopt ? waiting : 0
}
