import type { Anomaly, AnomalyRule } from '../../api/types'
import { rangeText } from '../../shared/format'
import { dayOf } from '../rights/grants'

/** Which rows of the ledger a rule counts. */
export function kindOf(rule: AnomalyRule): string {
  if (rule === 'refused') return 'denied'
  return rule === 'searches' ? 'used' : 'opened'
}

/** Whether an anomaly is more than its bound, or as much. */
export const boundOf = (rule: AnomalyRule): 'over' | 'from' => (isOfDays(rule) ? 'from' : 'over')

const isOfDays = (rule: AnomalyRule): boolean => rule === 'off_hours' || rule === 'repeated'

/** When it was: days without their hours, and the last one as people count, not the moment after it. */
export function windowOf({ rule, from, to }: Pick<Anomaly, 'rule' | 'from' | 'to'>): string {
  if (!isOfDays(rule)) return rangeText(from, to)
  const [first, last] = [dayOf(from), dayOf(Date.parse(to) - 1)]
  return first === last ? first : `${first} – ${last}`
}
