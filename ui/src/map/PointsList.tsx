import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { placeOf, type Id, type Point } from '../api/types'
import { paths } from '../app/paths'
import { useCan } from '../governance/session'
import { ExportMenu } from '../registry/ExportMenu'
import { useLiveState } from '../registry/liveState'
import { POINTS_SHOWN, usePoints } from '../registry/queries'
import { Act } from '../shared/Act'
import { DataTable, type Column } from '../shared/DataTable'
import { Face, Failed, Loading } from '../shared/Face'
import { count } from '../shared/format'
import { StateMark } from '../shared/StateMark'
import { boundsOf, contains, writeArea, type Area } from './areas'
import { listQuery, showsNothing, type Filters } from './filters'

/** The most tiles the video wall has. */
const WALL_MOST = 16

interface PointsListProps {
  filters: Filters
  area: Area | null
  /** Only points of this organisation and those below it. */
  organisation: Id | null
  onAnyOrganisation: () => void
  chosen: Id | null
  onPick: (id: Id) => void
}

/** The rows behind the filters and the drawn area. */
export function PointsList({
  filters,
  area,
  organisation,
  onAnyOrganisation,
  chosen,
  onPick,
}: PointsListProps) {
  const { t } = useTranslation()
  const can = useCan()
  const query = useMemo(
    () => ({
      ...listQuery(filters),
      ...(organisation ? { organisation } : {}),
      ...(area
        ? {
            bbox: boundsOf(area)
              .map((v) => v.toFixed(6))
              .join(','),
          }
        : {}),
    }),
    [filters, area, organisation],
  )
  const keep = useMemo(
    () => (point: Point) => {
      if (area === null || area.shape === 'box') return true
      const at = placeOf(point)
      return at !== null && contains(area, at)
    },
    [area],
  )
  const nothing = showsNothing(filters)
  const list = usePoints(query, area ? writeArea(area) : '', keep, !nothing)
  const columns = useMemo<Column<Point>[]>(
    () => [
      {
        key: 'point',
        title: t('registry:card.title'),
        width: 'minmax(0, 1fr)',
        render: (point) => <Row point={point} />,
      },
    ],
    [t],
  )
  if (list.error) return <Failed error={list.error} retry={() => void list.refetch()} />
  if (!list.data && !nothing) return <Loading />
  const { items, cut } = (nothing ? null : list.data) ?? { items: [], cut: false }
  const unit = items[0]?.organisation?.path.find(({ id }) => id === organisation)?.name ?? ''
  const showable = items.filter((point) => point.streams.length > 0)
  const first = showable.slice(0, WALL_MOST).map((point) => point.id)
  return (
    <>
      <p className="points-sum">
        {area
          ? t(`map:area.${area.shape}`, { metres: area.shape === 'near' ? area.metres : 0 })
          : t('map:area.all')}
        {organisation ? (
          <button type="button" className="quiet" title={t('map:show_all')} onClick={onAnyOrganisation}>
            {t('map:of_unit', { unit })} ×
          </button>
        ) : null}
        <b>{t('map:found', { count: items.length, n: count(items.length) })}</b>
      </p>
      {cut ? <p className="points-cut">{t('map:cut', { n: count(POINTS_SHOWN) })}</p> : null}
      <div className="points-rows">
        <DataTable
          label={t('map:list')}
          rows={items}
          columns={columns}
          rowKey={(point) => point.id}
          rowHeight={48}
          bare
          selected={chosen}
          onOpen={(point) => onPick(point.id)}
          empty={<Face kind="empty" text={t('map:nothing')} detail={t('map:nothing_hint')} />}
        />
      </div>
      <footer>
        <ExportMenu
          small
          query={query}
          reason={
            area !== null && area.shape !== 'box'
              ? t('map:export_box_only')
              : items.length === 0
                ? t('map:nothing')
                : null
          }
        />
        <Act
          type="primary"
          size="small"
          to={paths.wall(first)}
          reason={
            can.view_live
              ? first.length === 0
                ? t('registry:card.no_stream')
                : null
              : t('shared:not_allowed')
          }
        >
          {showable.length > WALL_MOST
            ? t('map:to_wall_first', { n: WALL_MOST, all: count(showable.length) })
            : t('map:to_wall', { count: first.length, n: first.length })}
        </Act>
      </footer>
    </>
  )
}

function Row({ point }: { point: Point }) {
  const state = useLiveState(point.id, point.state)
  return (
    <span className="points-row">
      <StateMark state={state} />
      <span>
        <b title={point.name}>{point.name}</b>
        <small>
          <code>{point.code}</code> {point.organisation?.name}
        </small>
      </span>
    </span>
  )
}
