import { useQuery } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import { fetched } from '../api/client'
import { placeOf, type Id, type MapSettings, type Point } from '../api/types'
import { paths } from '../app/paths'
import { Ticker } from '../notes/Ticker'
import { PointCard } from '../registry/PointCard'
import { usePoint } from '../registry/queries'
import { Failed, Loading } from '../shared/Face'
import { useKeys } from '../shared/keys'
import { useAddress } from '../shared/useAddress'
import { useTheme } from '../theme/preference'
import { readArea, writeArea, type Area } from './areas'
import { useMap } from './context'
import { readFilters, writeFilters, type Filters } from './filters'
import { HoverName } from './HoverName'
import { AreaLayer, type DrawTool } from './layers/AreaLayer'
import { BaseLayers } from './layers/BaseLayers'
import { MovingPoints } from './layers/MovingPoints'
import { PointLayers, type Hover } from './layers/PointLayers'
import { SelectedPoint } from './layers/SelectedPoint'
import { LeftOut } from './LeftOut'
import { LeftPanel, type LeftTab } from './LeftPanel'
import { CITY_PADDING, MapCanvas } from './MapCanvas'
import { MapTools } from './MapTools'
import { useMoved } from './moving'
import { TileFault } from './TileFault'
import { useGoThere } from './useGoThere'
import './map.css'

export function Component() {
  const { t } = useTranslation()
  const settings = useQuery({
    queryKey: ['map'],
    staleTime: Infinity,
    queryFn: ({ signal }) => fetched<MapSettings>('GET', '/map', { signal }),
  })
  if (settings.error) return <Failed error={settings.error} retry={() => void settings.refetch()} />
  if (!settings.data) return <Loading />
  return (
    <MapCanvas settings={settings.data} label={t('map:canvas')}>
      <OnTheMap settings={settings.data} />
    </MapCanvas>
  )
}

/** Everything drawn on and over the map. What is chosen and filtered lives in the address. */
function OnTheMap({ settings }: { settings: MapSettings }) {
  const { t } = useTranslation()
  const map = useMap()
  const theme = useTheme()
  const navigate = useNavigate()
  const [search, change, put] = useAddress()
  const filters = useMemo(() => readFilters(search), [search])
  const areaText = search.get('area')
  const area = useMemo(() => readArea(areaText), [areaText])
  const listed = search.get('list') === '1' || area !== null
  const chosen = search.get('point')
  const point = usePoint(chosen)
  const [tool, setTool] = useState<DrawTool | null>(null)
  const [hover, setHover] = useState<Hover | null>(null)
  const moved = useMoved(chosen)
  useGoThere(point.data ?? null, moved)

  const pick = useCallback((id: Id | null) => put({ point: id }), [put])
  const setFilters = (next: Filters) => change((old) => writeFilters(old, next))
  const setArea = (next: Area | null) => {
    setTool(null)
    put({ area: next ? writeArea(next) : null, list: null })
  }
  const setTab = (tab: LeftTab) => put(tab === 'list' ? { list: '1' } : { list: null, area: null })
  const home = () => {
    const [west, south, east, north] = settings.bounds
    map.fitBounds([west, south, east, north], { padding: CITY_PADDING, duration: 500 })
  }
  const near = (from: Point, metres: number) => {
    const centre = placeOf(from)
    if (centre) setArea({ shape: 'near', centre, metres })
  }
  const back = () => {
    if (tool) setTool(null)
    else if (chosen) pick(null)
    else if (listed) setTab('layers')
  }
  const flip = (name: DrawTool) => setTool(tool === name ? null : name)

  useKeys(t('map:title'), [
    { keys: 'Escape', label: t('map:keys.back'), run: back },
    { keys: 'b', label: t('map:tool.box'), run: () => flip('box') },
    { keys: 'p', label: t('map:tool.polygon'), run: () => flip('polygon') },
    { keys: 'h', label: t('map:tool.home'), run: home },
    { keys: 'l', label: t('map:keys.list'), run: () => setTab(listed ? 'layers' : 'list') },
    { keys: '+', label: t('map:tool.in'), run: () => map.zoomIn() },
    { keys: '=', label: t('map:tool.in'), run: () => map.zoomIn(), again: true },
    { keys: '-', label: t('map:tool.out'), run: () => map.zoomOut() },
    {
      keys: 'w',
      label: t('map:keys.wall'),
      run: () => {
        if (chosen) void navigate(paths.wall([chosen]))
      },
    },
    {
      keys: 'r',
      label: t('map:keys.playback'),
      run: () => {
        if (chosen) void navigate(paths.playback([chosen]))
      },
    },
  ])

  return (
    <>
      {settings.base === 'builtin' ? <BaseLayers theme={theme} /> : null}
      <PointLayers theme={theme} filters={filters} picking={tool === null} onPick={pick} onHover={setHover} />
      <MovingPoints theme={theme} filters={filters} />
      <AreaLayer theme={theme} area={area} tool={tool} onDrawn={setArea} />
      {point.data ? <SelectedPoint point={point.data} moved={moved} theme={theme} /> : null}
      <LeftPanel
        tab={listed ? 'list' : 'layers'}
        onTab={setTab}
        filters={filters}
        onFilters={setFilters}
        area={area}
        organisation={search.get('organisation')}
        onAnyOrganisation={() => put({ organisation: null })}
        chosen={chosen}
        onPick={pick}
        onList={(next) =>
          change((old) => {
            const out = writeFilters(old, next)
            out.set('list', '1')
            return out
          })
        }
      />
      <div className="map-right">
        {chosen ? <PointCard key={chosen} id={chosen} onClose={() => pick(null)} onNear={near} /> : null}
      </div>
      <TileFault />
      <LeftOut />
      <MapTools tool={tool} onTool={flip} onHome={home} />
      {tool ? (
        <p className="map-hint" role="status">
          {tool === 'box' ? t('map:draw.box') : t('map:draw.polygon')}
        </p>
      ) : null}
      {hover && hover.id !== chosen ? <HoverName hover={hover} /> : null}
      <div className="map-bottom">
        <Ticker />
      </div>
    </>
  )
}
