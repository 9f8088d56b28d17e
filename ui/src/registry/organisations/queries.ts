import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Id, Named, Organisation, OrganisationDraft, OrganisationEdit } from '../../api/types'
import { useDo } from '../../shared/useDo'

export const ORGANISATION_KINDS = [
  'city', 'district', 'park', 'town', 'enterprise', 'police_bureau', 'police_branch', 'police_station', 'department',
  'other',
] as const // prettier-ignore

export function useOrganisation(id: Id | null) {
  return useQuery({
    queryKey: ['organisation', id],
    enabled: id !== null,
    staleTime: 60_000,
    queryFn: ({ signal }) => fetched<Organisation>('GET', `/organisations/${id ?? ''}`, { signal }),
  })
}

const renew = [['organisations'], ['organisation']]

export function useAddOrganisation(then: (made: Named) => void) {
  const { t } = useTranslation()
  return useDo({
    run: (wanted: OrganisationDraft) => fetched<Named>('POST', '/organisations', { json: wanted }),
    done: t('registry:units.added'),
    renew,
    then,
  })
}

export function useChangeOrganisation(id: Id, then: () => void) {
  const { t } = useTranslation()
  return useDo({
    run: (edit: OrganisationEdit) => fetched<Organisation>('PATCH', `/organisations/${id}`, { json: edit }),
    done: t('registry:units.saved'),
    renew: [...renew, ['point'], ['files']],
    then,
  })
}
