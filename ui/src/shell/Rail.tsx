import { Badge, Tooltip } from 'antd'
import { useTranslation } from 'react-i18next'
import { Link, useLocation } from 'react-router'
import { placeAt, placesFor, type Place } from '../app/places'
import { useWaitingApprovals } from '../governance/approvals/approvals'
import { useCan } from '../governance/session'
import { useWaitingDevices } from './counts'
import { PlaceIcon } from './icons'

/** The ten places. Those not built yet stand there, closed, and say why. */
export function Rail() {
  const { t } = useTranslation()
  const places = placesFor(useCan())
  const here = placeAt(places, useLocation())
  const devices = useWaitingDevices()
  const { count: approvals } = useWaitingApprovals()
  const waiting = (place: Place): Waiting => {
    if (place.key === 'operations') return { count: devices, text: t('shell:waiting', { count: devices }) }
    if (place.key === 'approvals')
      return { count: approvals, text: t('shell:waiting_approvals', { count: approvals }) }
    return { count: 0, text: '' }
  }
  return (
    <nav className="rail" aria-label={t('shell:rail')}>
      <ul>
        {places.map((place) => (
          <li key={place.key}>
            <RailPlace place={place} isHere={place === here} waiting={waiting(place)} />
          </li>
        ))}
      </ul>
    </nav>
  )
}

interface Waiting {
  count: number
  text: string
}

function RailPlace({ place, isHere, waiting }: { place: Place; isHere: boolean; waiting: Waiting }) {
  const { t } = useTranslation()
  const name = t(`shell:place.${place.key}`)
  const hint = t(`shell:place_hint.${place.key}`)
  if (place.path === null) {
    return (
      <Tooltip
        placement="right"
        title={`${hint} — ${t(place.denied ? 'shared:not_allowed' : 'shell:not_built')}`}
      >
        <span className="rail-place" role="link" aria-disabled="true" tabIndex={0}>
          <PlaceIcon place={place.key} />
          <span>{name}</span>
        </span>
      </Tooltip>
    )
  }
  return (
    <Tooltip placement="right" title={place.number === null ? hint : `${hint} (g ${place.number})`}>
      <Link
        to={place.path}
        className={isHere ? 'rail-place active' : 'rail-place'}
        aria-current={isHere ? 'page' : undefined}
      >
        <Badge count={waiting.count} size="small" offset={[4, 0]} title={waiting.text}>
          <PlaceIcon place={place.key} />
        </Badge>
        <span>{name}</span>
      </Link>
    </Tooltip>
  )
}
