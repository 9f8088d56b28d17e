import { useQuery, useQueryClient } from '@tanstack/react-query'
import { fetched } from '../../api/client'
import type { Id, Page, Purpose, PurposeDraft, PurposeKind, Session } from '../../api/types'
import { useDo } from '../../shared/useDo'
import { useNow } from '../../shared/useNow'
import { sessionKey, useCan, useSession } from '../session'

export const KINDS: readonly PurposeKind[] = [
  'criminal_case',
  'public_order_case',
  'traffic',
  'rescue',
  'missing_person',
  'assistance',
  'inspection',
  'maintenance',
]
export const MINUTES = [30, 60, 240, 720] as const
const OFFERED = 5

/** The purpose that is active; null once its time is over, whatever the session said when it was read. */
export function usePurpose(): Purpose | null {
  const purpose = useSession().data?.purpose ?? null
  const now = useNow(10_000)
  return purpose !== null && now < Date.parse(purpose.expires_at) ? purpose : null
}

/** A session remembers one purpose. */
function useRemember() {
  const client = useQueryClient()
  return (purpose: Purpose | null) => {
    client.setQueryData<Session | null>(sessionKey, (old) => (old ? { ...old, purpose } : old))
    void client.invalidateQueries({ queryKey: ['purposes'] })
  }
}

export function useStatePurpose(then: () => void) {
  const remember = useRemember()
  return useDo({
    run: (draft: PurposeDraft) => fetched<Purpose>('POST', '/purposes', { json: draft }),
    then: (purpose) => {
      remember(purpose)
      then()
    },
  })
}

export function useEndPurpose(done: string) {
  const remember = useRemember()
  return useDo({
    run: (id: Id) => fetched<undefined>('DELETE', `/purposes/${id}`),
    done,
    then: () => remember(null),
  })
}

/** The last ones stated, each case once. */
export function distinct(purposes: readonly Purpose[]): Purpose[] {
  const found = new Map<string, Purpose>()
  for (const one of purposes) {
    const key = `${one.kind}\n${one.case_no}\n${one.unit}`
    if (!found.has(key)) found.set(key, one)
  }
  return [...found.values()].slice(0, OFFERED)
}

export function useLastPurposes() {
  const can = useCan()
  return useQuery({
    queryKey: ['purposes'],
    enabled: can.open_purpose,
    staleTime: 60_000,
    queryFn: ({ signal }) => fetched<Page<Purpose>>('GET', '/purposes', { query: { limit: 30 }, signal }),
    select: ({ items }) => distinct(items),
  })
}
