import type { Agreement, AgreementDraft, AgreementState, AgreementStep } from '../../api/types'
import { dayOf } from '../rights/grants'

const DAY_MS = 86_400_000
const SOON_DAYS = 30

/** What people may do next, the usual step first; `approve` and `resume` take a second person. */
export function stepsFor(state: AgreementState): AgreementStep[] {
  switch (state) {
    case 'draft':
      return ['approve', 'end']
    case 'agreed':
    case 'in_force':
      return ['suspend', 'end']
    case 'suspended':
      return ['resume', 'end']
    case 'expired':
    case 'ended':
      return []
  }
}

export const needsSecond = (step: AgreementStep): boolean => step === 'approve' || step === 'resume'

/** Civil days until the last one, which counts; negative: it is over. */
export function daysLeft({ until }: Pick<Agreement, 'until'>, now: number): number {
  return Math.round((Date.parse(until) - Date.parse(dayOf(now))) / DAY_MS)
}

/** How it presses, as the clocks of duties show it. */
export function pressOf(one: Pick<Agreement, 'state' | 'until'>, now: number): string {
  switch (one.state) {
    case 'in_force':
      return daysLeft(one, now) <= SOON_DAYS ? 'soon' : 'done'
    case 'draft':
    case 'agreed':
      return 'calm'
    case 'suspended':
      return 'changed'
    case 'expired':
    case 'ended':
      return 'none'
  }
}

export type AgreementFields = AgreementDraft

/** What a form begins with. */
export function fieldsOf(one: Agreement | null, now: number): Partial<AgreementFields> {
  if (one === null)
    return {
      kind: 'rescue',
      departments: [],
      classes: [],
      kinds: [],
      zones: [],
      accounts: [],
      actions: ['read_points'],
      fields: ['name', 'longitude', 'latitude', 'state'],
      from: dayOf(now),
      until: dayOf(now + 180 * DAY_MS),
    }
  const { number, department, unit, contact, legal_basis, kind, purpose, from, until } = one
  const { departments, classes, kinds, zones, actions, fields } = one
  return {
    number,
    department,
    unit,
    contact,
    legal_basis,
    kind,
    purpose,
    organisation: one.organisation.id,
    departments,
    classes,
    kinds,
    zones,
    accounts: one.accounts.map(({ id }) => id),
    actions,
    fields,
    from,
    until,
  }
}
