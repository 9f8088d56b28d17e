import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { FileVersion, Finding, Id, Page, Point, PointDetail } from '../../api/types'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'

export interface FilesQuery {
  q: string
  organisation: string | null
  class: string | null
  lifecycle: string | null
}

export const useFiles = (query: FilesQuery) => usePages<Point>('files', '/points', { ...query })

/** What is wrong with one file; a point has no more findings than there are rules and fields. */
export function useFaults(point: Id, enabled = true) {
  return useQuery({
    queryKey: ['findings', 'of', point],
    enabled,
    queryFn: ({ signal }) =>
      fetched<Page<Finding>>('GET', '/findings', { query: { point, state: 'open', limit: 100 }, signal }),
    select: ({ items }) => items,
  })
}

export const useVersions = (point: Id) =>
  usePages<FileVersion>('versions', `/points/${point}/versions`, { limit: 20 })

export interface Edit {
  version: number
  changes: Record<string, string | null>
  reason: string
}

/** What the server refuses is shown beside the fields, and not as a passing message. */
export function useEdit(point: Id, then: (saved: PointDetail) => void, failed: (error: unknown) => boolean) {
  const { t } = useTranslation()
  return useDo({
    run: (edit: Edit) => fetched<PointDetail>('PATCH', `/points/${point}`, { json: edit }),
    done: t('registry:file.saved'),
    renew: [['findings'], ['versions'], ['files'], ['points'], ['evidence', point]],
    then,
    failed,
  })
}
