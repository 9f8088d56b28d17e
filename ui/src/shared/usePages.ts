import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useCallback, useMemo } from 'react'
import { fetched, type Query } from '../api/client'
import type { Page } from '../api/types'

export type Pages<T> = ReturnType<typeof usePages<T>>

/** A list behind a cursor, read page by page as the table reaches its end. every: renewed so often while it is seen. */
export function usePages<T>(key: string, path: string, query: Query = {}, every: number | false = false) {
  const pages = useInfiniteQuery({
    queryKey: [key, path, query],
    initialPageParam: null as string | null,
    placeholderData: keepPreviousData,
    refetchInterval: every,
    queryFn: ({ pageParam, signal }) =>
      fetched<Page<T>>('GET', path, { query: { limit: 100, ...query, cursor: pageParam }, signal }),
    getNextPageParam: (last) => last.next,
  })
  const { hasNextPage, isFetching, fetchNextPage } = pages
  const rows = useMemo(() => pages.data?.pages.flatMap((page) => page.items) ?? [], [pages.data])
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage()
  }, [hasNextPage, isFetching, fetchNextPage])
  return { ...pages, rows, onEnd }
}
