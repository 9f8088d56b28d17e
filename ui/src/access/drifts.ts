import { useQuery } from '@tanstack/react-query'
import type { TFunction } from 'i18next'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { Configuration, Drift, Drifts, DriftState, Id } from '../api/types'
import { useDo } from '../shared/useDo'
import { usePages } from '../shared/usePages'

/** Renewed by the event stream; now and then besides, for what it may have missed. */
const EVERY_MS = 60_000

export function useDrifts(state: DriftState | 'all') {
  return usePages<Drift>('drifts', '/drifts', { state: state === 'all' ? null : state }, EVERY_MS)
}

/** How many are open of those that this person sees. */
export function useOpenDrifts(): number {
  const found = useQuery({
    queryKey: ['drifts', 'count'],
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) =>
      fetched<Drifts>('GET', '/drifts', { query: { state: 'open', limit: 1 }, signal }),
  })
  return found.data?.open ?? 0
}

export function useConfiguration(device: Id) {
  return useQuery({
    queryKey: ['drifts', 'configuration', device],
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => fetched<Configuration>('GET', `/devices/${device}/configuration`, { signal }),
  })
}

export function useAcceptDrift(then: () => void) {
  const { t } = useTranslation()
  return useDo({
    run: ({ id, reason }: { id: Id; reason: string }) =>
      fetched<Drift>('POST', `/drifts/${id}/accept`, { json: { reason } }),
    done: t('access:drift.accepted'),
    renew: [['drifts']],
    then,
  })
}

/** What a value is called; one that no table knows keeps its own name. */
export function valueName(name: string, t: TFunction): string {
  return t(`access:value.${name.replaceAll('.', '_')}`, { defaultValue: name })
}
