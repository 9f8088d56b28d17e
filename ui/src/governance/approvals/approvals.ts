import { useQuery } from '@tanstack/react-query'
import { fetched } from '../../api/client'
import type { Approval, Id, Page } from '../../api/types'
import { useCan } from '../session'

/** How often what waits for people is read again while they look. */
export const EVERY_MS = 20_000
/** Requests that one can decide. */
export const WAITING_PATH = '/approvals?inbox=true'
const COUNTED = 100

export type Tab = 'decide' | 'mine' | 'all'
const KEEPS: Record<Tab, (one: Approval) => boolean> = {
  decide: ({ may_decide }) => may_decide,
  mine: ({ mine }) => mine,
  all: () => true,
}
export const kept = (tab: Tab, all: readonly Approval[]): Approval[] => all.filter(KEEPS[tab])

/** A time still runs: for the decision, or for using it. */
export const runs = ({ state }: Approval): boolean =>
  state === 'open' || state === 'urgent' || state === 'granted'

/** How many requests this person could decide now; above a hundred, that it is more. */
export function useWaitingApprovals(): { count: number; text: string } {
  const can = useCan()
  const waiting = useQuery({
    queryKey: ['approvals', 'waiting'],
    enabled: can.approve,
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) =>
      fetched<Page<Approval>>('GET', WAITING_PATH, { query: { limit: COUNTED }, signal }),
    select: ({ items, next }) => ({
      count: items.length,
      text: `${items.length}${next === null ? '' : '+'}`,
    }),
  })
  return can.approve && waiting.data ? waiting.data : { count: 0, text: '0' }
}

export function useApproval(id: Id | null) {
  return useQuery({
    queryKey: ['approval', id],
    enabled: id !== null,
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => fetched<Approval>('GET', `/approvals/${id ?? ''}`, { signal }),
  })
}
