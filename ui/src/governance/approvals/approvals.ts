import { useQuery } from '@tanstack/react-query'
import { fetched } from '../../api/client'
import type { Approval, ApprovalState, Id, Page } from '../../api/types'
import { useCan } from '../session'

/** How often what waits for people is read again while they look. */
export const EVERY_MS = 20_000
const WAITING: readonly ApprovalState[] = ['open', 'urgent', 'overdue']
/** Requests that a decision is awaited for. */
export const WAITING_PATH = `/approvals?${WAITING.map((state) => `state=${state}`).join('&')}`

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

/** How many requests this person could decide now. */
export function useWaitingApprovals(): number {
  const can = useCan()
  const waiting = useQuery({
    queryKey: ['approvals', 'waiting'],
    enabled: can.approve,
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => fetched<Page<Approval>>('GET', WAITING_PATH, { query: { limit: 100 }, signal }),
    select: ({ items }) => kept('decide', items).length,
  })
  return can.approve ? (waiting.data ?? 0) : 0
}

export function useApproval(id: Id | null) {
  return useQuery({
    queryKey: ['approval', id],
    enabled: id !== null,
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => fetched<Approval>('GET', `/approvals/${id ?? ''}`, { signal }),
  })
}
