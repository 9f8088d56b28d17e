import { useQuery } from '@tanstack/react-query'
import { fetched } from '../../api/client'
import type { Id, Masks } from '../../api/types'

export const masksKey = (point: Id) => ['masks', point]

/** A point's privacy masks; anybody who sees the point may read what is covered. */
export function useMasks(point: Id) {
  return useQuery({
    queryKey: masksKey(point),
    staleTime: 30_000,
    queryFn: ({ signal }) => fetched<Masks>('GET', `/points/${point}/masks`, { signal }),
  })
}

/** How long a look behind the masks of a live picture is asked for, from a little before now. */
export const LIVE_BEFORE_MS = 60_000
export const LIVE_AFTER_MS = 4 * 3_600_000

export const aroundNow = (now: number) => ({ start: now - LIVE_BEFORE_MS, end: now + LIVE_AFTER_MS })
