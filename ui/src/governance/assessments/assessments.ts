import type { Assessment, AssessmentDraft, Review } from '../../api/types'
import { dayOf } from '../rights/grants'

/** How it presses, as the clocks of duties show it. */
export function pressOf(review: Review): string {
  switch (review) {
    case 'overdue':
      return 'late'
    case 'due':
      return 'soon'
    case 'draft':
      return 'calm'
    case 'current':
      return 'done'
    case 'superseded':
      return 'none'
  }
}

/** The words of the clock and the days that stand in them. */
export function clockOf({ review, days_left }: Pick<Assessment, 'review' | 'days_left'>): [Review, number] {
  return [review, Math.abs(days_left)]
}

/** The same civil day a year later; of a 29 February the 28th. */
export function yearLater(day: string): string {
  const later = `${Number(day.slice(0, 4)) + 1}${day.slice(4)}`
  return later.endsWith('02-29') ? later.replace(/29$/, '28') : later
}

/** As a form has it: `system` is "" where there is none. */
export type AssessmentFields = Omit<AssessmentDraft, 'system'> & { system: string }

/** What a form begins with; a new edition is made today and looked at again in a year. */
export function fieldsOf(one: Assessment | null, isNew: boolean, now: number): Partial<AssessmentFields> {
  const today = dayOf(now)
  const days = { made_on: today, review_by: yearLater(today) }
  if (one === null) return { subject: '', system: '', ...days }
  const { subject, necessity, risks, measures, conclusion, made_on, review_by } = one
  return {
    subject,
    organisation: one.organisation.id,
    system: one.system?.id ?? '',
    necessity,
    risks,
    measures,
    conclusion,
    ...(isNew ? days : { made_on, review_by }),
  }
}

/** What is sent. */
export function draftOf({ system, ...rest }: AssessmentFields): AssessmentDraft {
  return { ...rest, system: system === '' ? null : system }
}
