import { Badge, Tooltip } from 'antd'
import { useTranslation } from 'react-i18next'
import { NavLink } from 'react-router'
import { places, type Place } from '../app/places'
import { useWaitingDevices } from './counts'
import { PlaceIcon } from './icons'

/** The ten places. Those not built yet stand there, closed, and say why. */
export function Rail() {
  const { t } = useTranslation()
  const waiting = useWaitingDevices()
  return (
    <nav className="rail" aria-label={t('shell:rail')}>
      <ul>
        {places.map((place, index) => (
          <li key={place.key}>
            <RailPlace place={place} number={index + 1} waiting={place.key === 'operations' ? waiting : 0} />
          </li>
        ))}
      </ul>
    </nav>
  )
}

function RailPlace({ place, number, waiting }: { place: Place; number: number; waiting: number }) {
  const { t } = useTranslation()
  const name = t(`shell:place.${place.key}`)
  const hint = t(`shell:place_hint.${place.key}`)
  if (place.path === null) {
    return (
      <Tooltip placement="right" title={`${hint} — ${t('shell:not_built')}`}>
        <span className="rail-place" role="link" aria-disabled="true" tabIndex={0}>
          <PlaceIcon place={place.key} />
          <span>{name}</span>
        </span>
      </Tooltip>
    )
  }
  return (
    <Tooltip placement="right" title={`${hint} (g ${number % 10})`}>
      <NavLink to={place.path} className="rail-place">
        <Badge count={waiting} size="small" offset={[4, 0]} title={t('shell:waiting', { count: waiting })}>
          <PlaceIcon place={place.key} />
        </Badge>
        <span>{name}</span>
      </NavLink>
    </Tooltip>
  )
}
