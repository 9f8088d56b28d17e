import { useMutation, useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query'
import { fetched, request } from '../api/client'
import type { Abilities, Session, SessionCreated } from '../api/types'

export const sessionKey = ['session'] as const

/** Who is here and what they may do. `data` is null when nobody is signed in. */
export function useSession() {
  return useQuery({
    queryKey: sessionKey,
    staleTime: 5 * 60_000,
    queryFn: async ({ signal }): Promise<Session | null> => {
      const outcome = await request<Session>('GET', '/session', { signal })
      if (outcome.kind === 'success') return outcome.value
      if (outcome.kind === 'aborted') throw new DOMException('aborted', 'AbortError')
      if (outcome.error.status === 401) return null
      throw outcome.error
    },
  })
}

const nothing: Abilities = {
  view_live: false,
  view_playback: false,
  snapshot: false,
  export: false,
  ptz: false,
  hold: false,
  delete: false,
  unmask: false,
  edit_masks: false,
  open_purpose: false,
  ask_approval: false,
  approve: false,
  manage_users: false,
  own_account: false,
  read_ledger: false,
  read_points: false,
  read_timeline: false,
  read_trace: false,
  read_system: false,
  import_points: false,
  edit_points: false,
  adopt: false,
  administer: false,
  read_duties: false,
  manage_duties: false,
  settle_anomalies: false,
  read_breaches: false,
  manage_breaches: false,
  read_requests: false,
  handle_requests: false,
}
/** Everything that can be done, in the order in which it is offered. */
export const ABILITIES = Object.keys(nothing) as (keyof Abilities)[]

/** What the server says this person may do. A control that may not be used is disabled with its reason. */
export function useCan(): Abilities {
  return useSession().data?.can ?? nothing
}

export function useSignIn() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (body: { username: string; password: string; code?: string }) =>
      fetched<SessionCreated>('POST', '/session', { json: body }),
    onSuccess: () => client.resetQueries({ queryKey: sessionKey }),
  })
}

/** Nobody is here any more: what this person read must not greet the next one. */
export function forgetSession(client: QueryClient): void {
  client.setQueryData(sessionKey, null)
  client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] })
}

export function useSignOut() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => fetched<undefined>('DELETE', '/session'),
    onSettled: () => forgetSession(client),
  })
}
