import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Finding, FindingCounts, Survey } from '../../api/types'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'

const EVERY_MS = 60_000
const WALKING_MS = 1_500

export interface FindingsQuery {
  rule: string | null
  severity: string | null
  state: string
  division: string | null
  organisation: string | null
}

export const useFindings = (query: FindingsQuery) =>
  usePages<Finding>('findings', '/findings', { ...query }, EVERY_MS)

export function useFindingCounts(query: Pick<FindingsQuery, 'division' | 'organisation'>, enabled = true) {
  return useQuery({
    queryKey: ['findings', 'counts', query],
    enabled,
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) =>
      fetched<FindingCounts>('GET', '/findings/counts', { query: { ...query }, signal }),
  })
}

/** Whether the walk through all files goes on, or is about to. */
export const isWalking = (survey: Survey | undefined): boolean =>
  survey !== undefined && (survey.is_wanted || (survey.started_at !== null && survey.finished_at === null))

export function useSurvey(enabled: boolean) {
  return useQuery<Survey>({
    queryKey: ['survey'],
    enabled,
    refetchInterval: ({ state }) => (isWalking(state.data) ? WALKING_MS : EVERY_MS),
    queryFn: ({ signal }) => fetched<Survey>('GET', '/findings/survey', { signal }),
  })
}

export function useBeginSurvey() {
  const { t } = useTranslation()
  return useDo({
    run: () => fetched<Survey>('POST', '/findings/survey'),
    done: t('registry:findings.survey_begun'),
    renew: [['survey']],
  })
}

/** Of those whose files are known to be in order, in tenths of a per cent, rounded down; null: nobody knows yet. */
export function passing({ points, faulty, surveyed_at }: FindingCounts): string | null {
  if (surveyed_at === null || points === 0) return null
  return `${(Math.floor(((points - faulty) / points) * 1000) / 10).toFixed(1)} %`
}
