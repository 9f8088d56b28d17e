import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { count } from '../shared/format'
import { useMap } from './context'

/** A tile that holds more points than can be drawn says how many it left out; here the sum is told. */
export function LeftOut() {
  const { t } = useTranslation()
  const map = useMap()
  const [left, setLeft] = useState(0)
  useEffect(() => {
    const add = () => {
      const found = map.getSource('points')
        ? map.querySourceFeatures('points', { sourceLayer: 'truncated' })
        : []
      setLeft(found.reduce((sum, { properties }) => sum + Number(properties.left_out ?? 0), 0))
    }
    map.on('idle', add)
    return () => {
      map.off('idle', add)
    }
  }, [map])
  if (left === 0) return null
  return (
    <p className="map-fault map-left-out" role="status">
      {t('map:left_out', { n: count(left) })}
    </p>
  )
}
