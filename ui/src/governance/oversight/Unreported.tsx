import { useTranslation } from 'react-i18next'
import type { Breach } from '../../api/types'
import { age } from '../../shared/format'
import { useNow } from '../../shared/useNow'
import { presses, unreportedSeconds } from './breaches'

/** How long the authority has not known, or did not. */
export function Unreported({ breach }: { breach: Breach }) {
  const { t } = useTranslation()
  const now = useNow(10_000)
  const text = age(unreportedSeconds(breach, now), t)
  return presses(breach) ? (
    <span className="oversight-late" role="status">
      {t('governance:breach.unreported', { age: text })}
    </span>
  ) : (
    <span className="muted">{t('governance:breach.reported_after', { age: text })}</span>
  )
}
