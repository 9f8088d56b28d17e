import { Button } from 'antd'
import type { ErrorEvent, MapSourceDataEvent } from 'maplibre-gl'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useMap } from './context'

/** Pieces of the map that could not be read must not look like empty land: says so, and offers to ask again. */
export function TileFault() {
  const { t } = useTranslation()
  const map = useMap()
  const [failed, setFailed] = useState<ReadonlySet<string>>(new Set())
  useEffect(() => {
    const error = (event: ErrorEvent & { sourceId?: string }) => {
      const { sourceId } = event
      if (sourceId === undefined) console.error(event.error)
      else setFailed((old) => new Set([...old, sourceId]))
    }
    const arrived = ({ sourceId, tile }: MapSourceDataEvent) => {
      if (tile)
        setFailed((old) => (old.has(sourceId) ? new Set([...old].filter((id) => id !== sourceId)) : old))
    }
    map.on('error', error)
    map.on('sourcedata', arrived)
    return () => {
      map.off('error', error)
      map.off('sourcedata', arrived)
    }
  }, [map])
  if (failed.size === 0) return null
  return (
    <div className="map-fault" role="alert">
      {t('map:tiles_failed')}
      <Button
        size="small"
        onClick={() => [...failed].forEach((id) => map.getSource(id) && map.refreshTiles(id))}
      >
        {t('shared:face.retry')}
      </Button>
    </div>
  )
}
