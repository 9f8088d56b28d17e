import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { fetched } from '../../api/client'
import type { Shareable } from '../../api/types'

/** What an agreement may name, with the labels of a point's file. */
export function useShareable() {
  const found = useQuery({
    queryKey: ['shareable'],
    staleTime: Infinity,
    queryFn: ({ signal }) => fetched<Shareable>('GET', '/sharing/shareable', { signal }),
  })
  const labels = useMemo(
    () => new Map(found.data?.fields.map(({ key, label }) => [key, label] as const)),
    [found.data],
  )
  return { ...found, labels }
}
