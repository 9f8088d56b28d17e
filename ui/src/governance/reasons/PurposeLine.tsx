import { useTranslation } from 'react-i18next'
import type { Purpose } from '../../api/types'

/** A purpose in one line: kind, case number, unit. */
export function PurposeLine({ purpose }: { purpose: Purpose }) {
  const { t } = useTranslation()
  const { kind, case_no, unit } = purpose
  return (
    <span title={purpose.note || undefined}>
      {`${t(`governance:purpose.kind.${kind}`)} · ${case_no} · ${unit}`}
    </span>
  )
}
