import { QueryClient } from '@tanstack/react-query'
import { ApiError } from '../api/client'

/** A refusal is an answer: only what the network or a failing server lost is asked again. */
export function worthRetrying(failures: number, error: unknown): boolean {
  if (error instanceof ApiError && error.status >= 400 && error.status < 500) return false
  return failures < 2
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { staleTime: 15_000, retry: worthRetrying, refetchOnWindowFocus: false },
    mutations: { retry: false },
  },
})
