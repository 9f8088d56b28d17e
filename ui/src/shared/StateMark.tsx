import { useTranslation } from 'react-i18next'
import type { PointState } from '../api/types'
import './state.css'

/** State as colour *and* shape: online filled, offline crossed, unknown hollow. */
export function StateMark({ state, label = false }: { state: PointState; label?: boolean }) {
  const { t } = useTranslation()
  const name = t(`shared:state.${state}`)
  return (
    <span className={`state state-${state}`}>
      <svg width="10" height="10" viewBox="0 0 10 10" role="img" aria-label={name}>
        {state === 'online' ? <circle cx="5" cy="5" r="4" fill="currentColor" /> : null}
        {state === 'offline' ? (
          <path d="M1.5 1.5l7 7M8.5 1.5l-7 7" stroke="currentColor" strokeWidth="2.2" />
        ) : null}
        {state === 'unknown' ? (
          <circle cx="5" cy="5" r="3.6" fill="none" stroke="currentColor" strokeWidth="1.6" />
        ) : null}
      </svg>
      {label ? <span>{name}</span> : null}
    </span>
  )
}
