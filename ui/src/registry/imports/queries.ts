import { useQuery, useQueryClient } from '@tanstack/react-query'
import { fetched } from '../../api/client'
import { useEvent } from '../../api/events'
import type { Id, ImportJob, ImportKind, ImportStatus } from '../../api/types'
import { useDo } from '../../shared/useDo'

const WORKING: readonly ImportStatus[] = ['staged', 'validating', 'publishing']
const POLL_MS = 1_000
const XLSX = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'

export function isWorking(status: ImportStatus): boolean {
  return WORKING.includes(status)
}

function typeOf(name: string): string {
  if (/json$/i.test(name)) return 'application/geo+json'
  return /\.xlsx$/i.test(name) ? XLSX : 'text/csv'
}

/** The job, asked again while it works and whenever the stream says it moved. */
export function useImport(id: Id | null) {
  const client = useQueryClient()
  useEvent('job', (job) => {
    if (job.import === id) void client.invalidateQueries({ queryKey: ['import', id] })
  })
  return useQuery<ImportJob>({
    queryKey: ['import', id],
    enabled: id !== null,
    refetchInterval: ({ state }) => (state.data && isWorking(state.data.status) ? POLL_MS : false),
    queryFn: ({ signal }) => fetched<ImportJob>('GET', `/imports/${id ?? ''}`, { signal }),
  })
}

export function useStartImport(then: (id: Id) => void) {
  return useDo({
    run: ({ file, kind }: { file: File; kind: ImportKind }) =>
      fetched<{ id: Id }>('POST', '/imports', {
        query: { kind, filename: file.name.slice(0, 200) },
        raw: { body: file, type: typeOf(file.name) },
      }),
    then: ({ id }) => then(id),
  })
}

export function usePublish(id: Id) {
  return useDo({
    run: (skipFaulty: boolean) =>
      fetched<unknown>('POST', `/imports/${id}/publish`, {
        json: { skip_faulty: skipFaulty },
      }),
    renew: [['import', id], ['counts'], ['points'], ['organisations']],
  })
}

export function useCancel(id: Id, then: () => void) {
  return useDo({ run: () => fetched<unknown>('DELETE', `/imports/${id}`), renew: [['import', id]], then })
}
