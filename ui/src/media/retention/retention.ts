import type { FindingKind, RetentionReport } from '../../api/types'

/** In the order of how much they press. */
export const FINDINGS = [
  'early',
  'late',
  'short',
  'held',
  'by_hand',
] as const satisfies readonly FindingKind[]
/** What must not be; the others are in order. */
export const FAULTS: readonly FindingKind[] = ['early', 'late', 'short']

/** Whether a day's report found nothing that must not be. */
export function isClean({
  counts,
  failed,
  left_out,
}: Pick<RetentionReport, 'counts' | 'failed' | 'left_out'>): boolean {
  return (
    FAULTS.every((kind) => (counts[kind] ?? 0) === 0) && Object.keys(failed).length === 0 && left_out === 0
  )
}
