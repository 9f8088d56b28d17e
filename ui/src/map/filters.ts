import type { Id, PointClass, PointKind, PointState } from '../api/types'

export const KINDS: readonly PointKind[] = ['camera', 'checkpoint', 'alarm_point', 'sensor', 'watchtower']
export const CLASSES: readonly PointClass[] = [1, 2, 3, 9]
export const STATES: readonly PointState[] = ['online', 'offline', 'unknown']

/** What is shown: null means all; a list means only these; an empty list means none. */
export interface Filters {
  kind: readonly PointKind[] | null
  class: readonly PointClass[] | null
  state: readonly PointState[] | null
  owner: readonly Id[] | null
}

export const everything: Filters = { kind: null, class: null, state: null, owner: null }

const NONE = 'none'

function read<T extends string>(text: string | null, known: readonly T[] | null): T[] | null {
  if (text === null || text === '') return null
  if (text === NONE) return []
  const wanted = text.split(',')
  if (known === null) return wanted as T[]
  const kept = known.filter((value) => wanted.includes(value))
  return kept.length === 0 || kept.length === known.length ? null : kept
}

/** Filters as the address says them; what it says wrongly is as if it said nothing. */
export function readFilters(search: URLSearchParams): Filters {
  return {
    kind: read(search.get('kind'), KINDS),
    class:
      read(
        search.get('class'),
        CLASSES.map((value) => String(value)),
      )?.map((value) => Number(value) as PointClass) ?? null,
    state: read(search.get('state'), STATES),
    owner: read(search.get('owner'), null),
  }
}

/** The same search with these filters in it; the rest of it stays. */
export function writeFilters(search: URLSearchParams, filters: Filters): URLSearchParams {
  const out = new URLSearchParams(search)
  for (const name of ['kind', 'class', 'state', 'owner'] as const) {
    const values = filters[name]
    if (values === null) out.delete(name)
    else out.set(name, values.length === 0 ? NONE : values.join(','))
  }
  return out
}

/** Shown or hidden, of `all`; when all are shown again the filter is gone. */
export function toggled<T>(shown: readonly T[] | null, all: readonly T[], value: T): readonly T[] | null {
  const now = shown ?? all
  const next = now.includes(value)
    ? now.filter((other) => other !== value)
    : all.filter((v) => v === value || now.includes(v))
  return next.length === all.length ? null : next
}

/** Only this one; asked again, all of them. */
export function only<T>(shown: readonly T[] | null, value: T): readonly T[] | null {
  return shown?.length === 1 && shown[0] === value ? null : [value]
}

export function isShown<T>(shown: readonly T[] | null, value: T): boolean {
  return shown === null || shown.includes(value)
}

/** One of the groups has nothing left to show, so nothing is asked for. */
export function showsNothing(filters: Filters): boolean {
  return [filters.kind, filters.class, filters.state, filters.owner].some((values) => values?.length === 0)
}

/** The query the tiles and the list take. State is not part of a tile: it travels live. */
export function tileQuery(filters: Filters): Record<string, string> {
  const out: Record<string, string> = {}
  if (filters.kind?.length) out.kinds = filters.kind.join(',')
  if (filters.class?.length) out.classes = filters.class.join(',')
  if (filters.owner?.length) out.owners = filters.owner.join(',')
  return out
}

export function listQuery(filters: Filters): Record<string, string> {
  const out: Record<string, string> = {}
  if (filters.kind?.length) out.kind = filters.kind.join(',')
  if (filters.class?.length) out.class = filters.class.join(',')
  if (filters.state?.length) out.state = filters.state.join(',')
  if (filters.owner?.length) out.owner = filters.owner.join(',')
  return out
}
