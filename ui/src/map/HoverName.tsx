import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useLiveState } from '../registry/liveState'
import { usePoint } from '../registry/queries'
import { StateMark } from '../shared/StateMark'
import type { Hover } from './layers/PointLayers'

const REST_MS = 120

/** The name of the point under the mouse, once the mouse rests there. */
export function HoverName({ hover }: { hover: Hover }) {
  const [rested, setRested] = useState<string | null>(null)
  useEffect(() => {
    const timer = setTimeout(() => setRested(hover.id), REST_MS)
    return () => clearTimeout(timer)
  }, [hover.id])
  return rested === hover.id ? <Name hover={hover} /> : null
}

function Name({ hover }: { hover: Hover }) {
  const { t } = useTranslation()
  const point = usePoint(hover.id).data
  const state = useLiveState(hover.id, point?.state ?? 'unknown')
  if (!point) return null
  return (
    <div className="map-hover" style={{ transform: `translate(${hover.x + 14}px, ${hover.y + 14}px)` }}>
      <StateMark state={state} /> {point.name}
      <span className="muted">
        {t(`shared:kind.${point.kind}`)} · {t(`shared:class.${point.class}`)}
      </span>
    </div>
  )
}
