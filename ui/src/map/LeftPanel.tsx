import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Id } from '../api/types'
import { useCounts } from '../shell/counts'
import type { Area } from './areas'
import { everything, type Filters } from './filters'
import { LayerList } from './LayerList'
import { PointsList } from './PointsList'

export type LeftTab = 'layers' | 'list'

interface LeftPanelProps {
  tab: LeftTab
  onTab: (tab: LeftTab) => void
  filters: Filters
  onFilters: (filters: Filters) => void
  /** A count was clicked: list these. */
  onList: (filters: Filters) => void
  area: Area | null
  organisation: Id | null
  onAnyOrganisation: () => void
  chosen: Id | null
  onPick: (id: Id) => void
}

const KEY = 'anwang.map.panel'

export function LeftPanel({
  tab,
  onTab,
  filters,
  onFilters,
  onList,
  area,
  organisation,
  onAnyOrganisation,
  chosen,
  onPick,
}: LeftPanelProps) {
  const { t } = useTranslation()
  const counts = useCounts()
  const [folded, setFolded] = useState(() => localStorage.getItem(KEY) === 'folded')
  const fold = (next: boolean) => {
    setFolded(next)
    localStorage.setItem(KEY, next ? 'folded' : 'open')
  }
  const filtered =
    filters.kind !== null || filters.class !== null || filters.state !== null || filters.owner !== null
  if (folded) {
    return (
      <button type="button" className="map-unfold" onClick={() => fold(false)}>
        {t('map:layers')}
        {filtered ? ` · ${t('map:filtered')}` : ''}
      </button>
    )
  }
  return (
    <section className={tab === 'list' ? 'map-left map-left-list' : 'map-left'} aria-label={t('map:layers')}>
      <header>
        <div role="tablist" aria-label={t('map:layers')}>
          {(['layers', 'list'] as const).map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              aria-selected={tab === name}
              onClick={() => onTab(name)}
            >
              {t(`map:${name}`)}
            </button>
          ))}
        </div>
        {filtered ? (
          <button type="button" className="quiet" onClick={() => onFilters(everything)}>
            {t('map:show_all')}
          </button>
        ) : null}
        <button
          type="button"
          className="quiet"
          aria-label={t('map:fold')}
          title={t('map:fold')}
          onClick={() => fold(true)}
        >
          ‹
        </button>
      </header>
      {tab === 'layers' ? (
        <LayerList counts={counts} filters={filters} onFilters={onFilters} onList={onList} />
      ) : (
        <PointsList
          filters={filters}
          area={area}
          organisation={organisation}
          onAnyOrganisation={onAnyOrganisation}
          chosen={chosen}
          onPick={onPick}
        />
      )}
    </section>
  )
}
