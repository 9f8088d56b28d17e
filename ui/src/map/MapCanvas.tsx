import 'maplibre-gl/dist/maplibre-gl.css'
import { Map as GlMap, setWorkerUrl, type StyleSpecification } from 'maplibre-gl'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { MapSettings } from '../api/types'
import { Face } from '../shared/Face'
import { MapContext, SLOTS } from './context'
import { fontFaces } from './fonts'

setWorkerUrl(workerUrl)

/** What the panels cover when the whole city is shown. Pixels. */
export const CITY_PADDING = { top: 24, right: 72, bottom: 84, left: 260 }

const VIEW_KEY = 'anwang.map.view'

interface View {
  center: [number, number]
  zoom: number
}

function rememberedView(): View | null {
  try {
    const view = JSON.parse(sessionStorage.getItem(VIEW_KEY) ?? 'null') as View | null
    return view && view.center.every(Number.isFinite) && Number.isFinite(view.zoom) ? view : null
  } catch {
    return null
  }
}

const empty: StyleSpecification = {
  version: 8,
  sources: {},
  layers: [],
  'font-faces': fontFaces,
}

/** The WebGL map, filling its parent; children are drawn over it once it has loaded. */
export function MapCanvas({
  settings,
  label,
  children,
}: {
  settings: MapSettings
  label: string
  children: ReactNode
}) {
  const { t } = useTranslation()
  const holder = useRef<HTMLDivElement>(null)
  const [map, setMap] = useState<GlMap | null>(null)
  const [broken, setBroken] = useState<string | null>(null)
  const first = useRef(settings)

  useEffect(() => {
    if (!holder.current) return undefined
    const { bounds, style } = first.current
    const view = rememberedView()
    let made: GlMap
    try {
      made = new GlMap({
        container: holder.current,
        style: style ?? empty,
        ...(view ?? { bounds, fitBoundsOptions: { padding: CITY_PADDING } }),
        localIdeographFontFamily: '"Noto Sans SC Variable", sans-serif',
        attributionControl: false,
        boxZoom: false,
        dragRotate: false,
        pitchWithRotate: false,
        touchPitch: false,
        maxZoom: 19,
        minZoom: 4,
        fadeDuration: 0,
      })
    } catch (error) {
      setBroken(String(error))
      return undefined
    }
    made.touchZoomRotate.disableRotation()
    made.getCanvas().setAttribute('aria-label', label)
    made.once('style.load', () => {
      for (const id of SLOTS) made.addLayer({ id, type: 'background', layout: { visibility: 'none' } })
      setMap(made)
    })
    made.on('moveend', () => {
      const { lng, lat } = made.getCenter()
      sessionStorage.setItem(VIEW_KEY, JSON.stringify({ center: [lng, lat], zoom: made.getZoom() }))
    })
    return () => {
      setMap(null)
      made.remove()
    }
  }, [label])

  return (
    <div className="map">
      <div className="map-canvas" ref={holder} />
      {broken ? <Face kind="failed" text={t('map:no_webgl')} detail={broken} /> : null}
      {map ? <MapContext value={map}>{children}</MapContext> : null}
    </div>
  )
}
