import { useQuery } from '@tanstack/react-query'
import { fetched } from '../api/client'
import type { Id, PointDetail } from '../api/types'

/** The point's name; what is shown elsewhere is not read again. */
export function PointName({ id }: { id: Id }) {
  const point = useQuery({
    queryKey: ['point', id],
    staleTime: 60_000,
    queryFn: ({ signal }) => fetched<PointDetail>('GET', `/points/${id}`, { signal }),
  })
  return <span title={point.data?.name ?? id}>{point.data?.name ?? '…'}</span>
}
