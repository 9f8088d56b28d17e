import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { fetched, request, type Query } from '../api/client'
import type { Evidence, History, Id, Page, Point, PointDetail } from '../api/types'
import { liveStates } from './liveState'

export function usePoint(id: Id | null) {
  return useQuery({
    queryKey: ['point', id],
    enabled: id !== null,
    staleTime: 60_000,
    queryFn: ({ signal }) => fetched<PointDetail>('GET', `/points/${id ?? ''}`, { signal }),
  })
}

const EVIDENCE_EVERY_MS = 10_000

/** Evidence ages while one looks, so it is asked again; at once when the state changes. */
export function useEvidence(id: Id) {
  const client = useQueryClient()
  useEffect(
    () =>
      liveStates.subscribe((ids) => {
        if (!ids.includes(id)) return
        void client.invalidateQueries({ queryKey: ['evidence', id] })
        void client.invalidateQueries({ queryKey: ['history', id] })
      }),
    [client, id],
  )
  return useQuery({
    queryKey: ['evidence', id],
    refetchInterval: EVIDENCE_EVERY_MS,
    queryFn: ({ signal }) => fetched<Evidence>('GET', `/points/${id}/evidence`, { signal }),
  })
}

export function useHistory(id: Id, hours: number) {
  return useQuery({
    queryKey: ['history', id, hours],
    staleTime: 60_000,
    queryFn: ({ signal }) => fetched<History>('GET', `/points/${id}/history`, { query: { hours }, signal }),
  })
}

export const POINTS_PAGE = 500
export const POINTS_SHOWN = 2_000

export interface PointList {
  items: Point[]
  /** More matched than are listed. */
  cut: boolean
}

/** Reads pages of `/points` until the end or `POINTS_SHOWN`; `keep` narrows what the server cannot. */
export async function readPoints(
  query: Query,
  keep: (point: Point) => boolean,
  signal?: AbortSignal,
): Promise<PointList> {
  const items: Point[] = []
  let cursor: string | null = null
  do {
    const outcome: Awaited<ReturnType<typeof request<Page<Point>>>> = await request<Page<Point>>(
      'GET',
      '/points',
      {
        query: { ...query, limit: POINTS_PAGE, cursor },
        signal,
      },
    )
    if (outcome.kind === 'error') throw outcome.error
    if (outcome.kind === 'aborted') throw new DOMException('aborted', 'AbortError')
    items.push(...outcome.value.items.filter(keep))
    cursor = outcome.value.next
  } while (cursor !== null && items.length < POINTS_SHOWN)
  return { items: items.slice(0, POINTS_SHOWN), cut: cursor !== null || items.length > POINTS_SHOWN }
}

export function usePoints(query: Query, areaKey: string, keep: (point: Point) => boolean, enabled: boolean) {
  return useQuery({
    queryKey: ['points', query, areaKey],
    enabled,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => readPoints(query, keep, signal),
  })
}
