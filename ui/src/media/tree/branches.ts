import { useQueries, useQuery } from '@tanstack/react-query'
import { fetched } from '../../api/client'
import type { Id, OrganisationNode, Page, Point } from '../../api/types'

const MOST = 2_000

function readChildren(parent: Id | null, signal: AbortSignal) {
  return fetched<Page<OrganisationNode>>('GET', '/organisations', { query: { parent, limit: 500 }, signal })
}

/** The points of an organisation itself (the list holds those of its branches too), as far as MOST. */
async function readPointsOf(node: OrganisationNode, below: number, signal: AbortSignal): Promise<Point[]> {
  const own = node.points.total - below
  const points: Point[] = []
  let cursor: string | null = null
  let read = 0
  if (own <= 0) return points
  do {
    const page: Page<Point> = await fetched<Page<Point>>('GET', '/points', {
      query: { organisation: node.id, limit: 500, cursor },
      signal,
    })
    read += page.items.length
    points.push(...page.items.filter((point) => point.organisation?.id === node.id))
    cursor = page.next
  } while (cursor !== null && points.length < own && read < MOST)
  return points.filter((point) => point.streams.length > 0)
}

export interface Branch {
  nodes: OrganisationNode[]
  points: Point[]
}

/** Where there is something to see comes first; those without a point stay in their order behind. */
export const seenFirst = (nodes: readonly OrganisationNode[]): OrganisationNode[] => [
  ...nodes.filter((node) => node.points.total > 0),
  ...nodes.filter((node) => node.points.total === 0),
]

const STALE_MS = 60_000

/** The open branches of the tree, each read when it is opened. */
export function useBranches(open: readonly Id[]) {
  const roots = useQuery({
    queryKey: ['tree', 'roots'],
    staleTime: STALE_MS,
    queryFn: ({ signal }) => readChildren(null, signal),
  })
  const children = useQueries({
    queries: open.map((id) => ({
      queryKey: ['tree', 'children', id],
      staleTime: STALE_MS,
      queryFn: async ({ signal }: { signal: AbortSignal }) => ({ id, page: await readChildren(id, signal) }),
    })),
  })
  const nodes = new Map<Id, OrganisationNode>()
  const under = new Map<Id, OrganisationNode[]>()
  for (const node of roots.data?.items ?? []) nodes.set(node.id, node)
  for (const { data } of children) {
    if (!data) continue
    under.set(data.id, seenFirst(data.page.items))
    for (const node of data.page.items) nodes.set(node.id, node)
  }
  const points = useQueries({
    queries: open.map((id) => {
      const node = nodes.get(id)
      const below = under.get(id)
      return {
        queryKey: ['tree', 'points', id],
        enabled: node !== undefined && below !== undefined,
        staleTime: STALE_MS,
        queryFn: async ({ signal }: { signal: AbortSignal }) => {
          if (node === undefined || below === undefined) return { id, points: [] }
          const sum = below.reduce((total, one) => total + one.points.total, 0)
          return { id, points: await readPointsOf(node, sum, signal) }
        },
      }
    }),
  })
  const pointsUnder = new Map<Id, Point[]>()
  for (const { data } of points) if (data) pointsUnder.set(data.id, data.points)
  return { roots, under, pointsUnder }
}

const FOUND_MOST = 200

export function usePointSearch(text: string) {
  return useQuery({
    queryKey: ['tree', 'search', text],
    enabled: text !== '',
    staleTime: STALE_MS,
    queryFn: async ({ signal }) => {
      const page = await fetched<Page<Point>>('GET', '/points', {
        query: { q: text, limit: FOUND_MOST },
        signal,
      })
      return { items: page.items.filter((point) => point.streams.length > 0), cut: page.next !== null }
    },
  })
}
