import { Tooltip } from 'antd'
import { useEffect, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { coordinates } from '../shared/format'
import { useMap } from './context'
import type { DrawTool } from './layers/AreaLayer'

interface MapToolsProps {
  tool: DrawTool | null
  onTool: (tool: DrawTool) => void
  onHome: () => void
}

export function MapTools({ tool, onTool, onHome }: MapToolsProps) {
  const { t } = useTranslation()
  const map = useMap()
  return (
    <div className="map-corner">
      <div className="map-tools" role="toolbar" aria-label={t('map:tools')}>
        <Tool name={t('map:tool.box')} hotkey="b" on={tool === 'box'} run={() => onTool('box')}>
          <path d="M4 4h3M9 4h3M14 4h2v2M16 8v3M16 13v3h-2M11 16H8M6 16H4v-3M4 11V8M4 6V4" />
        </Tool>
        <Tool name={t('map:tool.polygon')} hotkey="p" on={tool === 'polygon'} run={() => onTool('polygon')}>
          <path d="M4 7l7-4 6 6-3 8-9-2z" />
        </Tool>
        <Tool name={t('map:tool.home')} hotkey="h" run={onHome}>
          <path d="M3 9.5L10 3.5l7 6M5 8.5V16.5h10V8.5" />
        </Tool>
        <Tool name={t('map:tool.in')} hotkey="+" run={() => map.zoomIn()}>
          <path d="M10 4v12M4 10h12" />
        </Tool>
        <Tool name={t('map:tool.out')} hotkey="-" run={() => map.zoomOut()}>
          <path d="M4 10h12" />
        </Tool>
      </div>
      <Position />
    </div>
  )
}

interface ToolProps {
  name: string
  hotkey: string
  on?: boolean
  run: () => void
  children: ReactNode
}

function Tool({ name, hotkey, on, run, children }: ToolProps) {
  return (
    <Tooltip title={`${name} (${hotkey})`} placement="left">
      <button type="button" aria-label={name} aria-pressed={on} onClick={run}>
        <svg
          width="18"
          height="18"
          viewBox="0 0 20 20"
          fill="none"
          stroke="currentColor"
          strokeWidth="1.5"
          aria-hidden
        >
          {children}
        </svg>
      </button>
    </Tooltip>
  )
}

const NICE = [1, 2, 5]
const BAR_PX = 90

/** The longest round distance that fits: metres and its length in pixels. */
export function scaleBar(metresPerPx: number): { metres: number; px: number } {
  let metres = 1
  for (let power = 0; power < 7; power++) {
    for (const step of NICE) {
      const next = step * 10 ** power
      if (next / metresPerPx <= BAR_PX) metres = next
    }
  }
  return { metres, px: metres / metresPerPx }
}

/** Where the mouse is, in which datum, and how long a stretch on the screen is. */
function Position() {
  const { t } = useTranslation()
  const map = useMap()
  const [at, setAt] = useState(() => map.getCenter())
  const [zoom, setZoom] = useState(() => map.getZoom())
  useEffect(() => {
    let frame = 0
    const move = (event: { lngLat: typeof at }) => {
      cancelAnimationFrame(frame)
      frame = requestAnimationFrame(() => setAt(event.lngLat))
    }
    const zoomed = () => setZoom(map.getZoom())
    map.on('mousemove', move)
    map.on('zoom', zoomed)
    return () => {
      cancelAnimationFrame(frame)
      map.off('mousemove', move)
      map.off('zoom', zoomed)
    }
  }, [map])
  const metresPerPx = (78_271.517 * Math.cos((at.lat * Math.PI) / 180)) / 2 ** zoom
  const bar = scaleBar(metresPerPx)
  return (
    <p className="map-position">
      <span className="map-scale" style={{ width: bar.px }}>
        {bar.metres >= 1000 ? `${bar.metres / 1000} km` : `${bar.metres} m`}
      </span>
      <span>{coordinates(at.lng, at.lat)}</span>
      <abbr title={t('map:datum')}>WGS-84</abbr>
    </p>
  )
}
