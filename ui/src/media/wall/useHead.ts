import { useQuery, useQueryClient } from '@tanstack/react-query'
import { fetched } from '../../api/client'
import { useEvent } from '../../api/events'
import type { Head, Id } from '../../api/types'

/** Who moves the head of a point, as long as somebody wants to know; told by events, not asked again and again. */
export function useHead(point: Id, wanted: boolean): Head | undefined {
  const client = useQueryClient()
  useEvent('ptz', (event) => {
    if (event.point === point) void client.invalidateQueries({ queryKey: ['head', point] })
  })
  return useQuery({
    queryKey: ['head', point],
    enabled: wanted,
    staleTime: 0,
    queryFn: ({ signal }) => fetched<Head>('GET', `/points/${point}/ptz`, { signal }),
  }).data
}
