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
  own_account: false,
  read_points: false,
  read_timeline: false,
  read_trace: false,
  read_ledger: false,
  read_system: false,
  view_live: false,
  view_playback: false,
  snapshot: false,
  export: false,
  ptz: false,
  hold: false,
  import_points: false,
  edit_points: false,
  adopt: false,
  manage_users: false,
  administer: false,
}

/** What the server says this person may do. A control that may not be used is disabled with its reason. */
export function useCan(): Abilities {
  return useSession().data?.can ?? nothing
}

export function useSignIn() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (body: { username: string; password: string }) =>
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
