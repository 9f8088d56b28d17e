import { useTranslation } from 'react-i18next'
import type { Filing } from '../../api/types'
import { clockOf, pressOf } from './duties'

/** How much time is left for a filing, in colour, shape and words. */
export function Clock({ filing }: { filing: Filing }) {
  const { t } = useTranslation()
  const [key, n] = clockOf(filing)
  return (
    <span className={`duty-clock duty-${pressOf(filing)}`}>{t(`governance:duty.clock.${key}`, { n })}</span>
  )
}
