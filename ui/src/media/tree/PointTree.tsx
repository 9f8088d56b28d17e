import { CaretRightOutlined } from '@ant-design/icons'
import { useVirtualizer } from '@tanstack/react-virtual'
import { Dropdown, type MenuProps } from 'antd'
import { useDeferredValue, useRef, useState, type KeyboardEvent } from 'react'
import { useTranslation } from 'react-i18next'
import type { Id, OrganisationNode, Point } from '../../api/types'
import { useLiveState, useLiveStates } from '../../registry/liveState'
import { Failed, Loading } from '../../shared/Face'
import { count } from '../../shared/format'
import { SearchInput } from '../../shared/SearchInput'
import { StateMark } from '../../shared/StateMark'
import { useBranches, usePointSearch } from './branches'
import './tree.css'

export const POINT_DRAG = 'application/x-anwang-point'
const ROW = 28

type Row =
  | { is: 'node'; node: OrganisationNode; depth: number; open: boolean }
  | { is: 'point'; point: Point; depth: number }
  | { is: 'wait'; id: Id; depth: number }

export interface PointAct {
  key: string
  label: string
  run: (point: Point) => void
}

interface PointTreeProps {
  /** Points that are shown already. */
  chosen: readonly (Id | null)[]
  onChoose: (point: Point) => void
  /** The right-click menu of a point. */
  acts: readonly PointAct[]
  /** Opens all of an organisation's own points at once. */
  onChooseMany?: (points: readonly Point[]) => void
  searchId: string
}

/** Organisations and their points; branches are read when opened. Drag, double-click or Enter takes a point. */
export function PointTree({ chosen, onChoose, acts, onChooseMany, searchId }: PointTreeProps) {
  const { t } = useTranslation()
  useLiveStates()
  const [typed, setTyped] = useState('')
  const text = useDeferredValue(typed.trim())
  const [opened, setOpened] = useState<readonly Id[] | null>(null)
  const [current, setCurrent] = useState(0)
  const scroller = useRef<HTMLDivElement>(null)
  const first = useBranches([]).roots.data?.items[0]?.id
  const open = opened ?? (first === undefined ? [] : [first])
  const { roots, under, pointsUnder } = useBranches(open)
  const found = usePointSearch(text)

  const rows: Row[] = []
  const walk = (nodes: readonly OrganisationNode[], depth: number) => {
    for (const node of nodes) {
      const isOpen = open.includes(node.id)
      rows.push({ is: 'node', node, depth, open: isOpen })
      if (!isOpen) continue
      walk(under.get(node.id) ?? [], depth + 1)
      const points = pointsUnder.get(node.id)
      if (points === undefined) rows.push({ is: 'wait', id: node.id, depth: depth + 1 })
      else for (const point of points) rows.push({ is: 'point', point, depth: depth + 1 })
    }
  }
  if (text === '') walk(roots.data?.items ?? [], 0)
  else for (const point of found.data?.items ?? []) rows.push({ is: 'point', point, depth: 0 })

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
  })
  const at = Math.min(current, Math.max(0, rows.length - 1))
  const flip = (id: Id) => setOpened(open.includes(id) ? open.filter((one) => one !== id) : [...open, id])
  const go = (index: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, index))
    setCurrent(next)
    virtual.scrollToIndex(next)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const row = rows[at]
    const keys: Record<string, () => void> = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      Home: () => go(0),
      End: () => go(rows.length - 1),
      ArrowRight: () => {
        if (row?.is === 'node' && !row.open) flip(row.node.id)
        else go(at + 1)
      },
      ArrowLeft: () => {
        if (row?.is === 'node' && row.open) flip(row.node.id)
        else if (row) go(rows.findLastIndex((one, n) => n < at && one.depth < row.depth))
      },
      Enter: () => {
        if (row?.is === 'node') flip(row.node.id)
        else if (row?.is === 'point') onChoose(row.point)
      },
    }
    const act = keys[event.key]
    if (!act || event.ctrlKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation()
    act()
  }
  const failed = text === '' ? roots : found
  return (
    <div className="ptree">
      <div className="ptree-search">
        <SearchInput
          id={searchId}
          value={typed}
          placeholder={t('media:tree.search')}
          onChange={(event) => {
            setTyped(event.target.value)
            setCurrent(0)
          }}
          onKeyDown={(event) => {
            if (event.key === 'ArrowDown' || event.key === 'Enter') onKeyDown(event)
            if (event.key === 'Escape') event.currentTarget.blur()
          }}
        />
      </div>
      <div
        ref={scroller}
        className="ptree-rows"
        role="tree"
        aria-label={t('media:tree.title')}
        aria-activedescendant={rows[at] ? `${searchId}-${at}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        {failed.error ? (
          <Failed error={failed.error} retry={() => void failed.refetch()} />
        ) : failed.isLoading ? (
          <Loading />
        ) : rows.length === 0 ? (
          <p className="ptree-none">
            {text === '' ? t('media:tree.empty') : t('media:tree.not_found', { text })}
          </p>
        ) : (
          <div style={{ height: virtual.getTotalSize(), position: 'relative' }} role="presentation">
            {virtual.getVirtualItems().map(({ index, start }) => {
              const row = rows[index]
              if (row === undefined) return null
              const place = {
                transform: `translateY(${start}px)`,
                paddingLeft: 8 + row.depth * 14,
              }
              const common = {
                id: `${searchId}-${index}`,
                style: place,
                role: 'treeitem' as const,
                'aria-level': row.depth + 1,
                'data-current': index === at,
                onClick: () => setCurrent(index),
              }
              if (row.is === 'wait')
                return (
                  <div key={`wait-${row.id}`} {...common} className="ptree-row muted">
                    {t('shared:face.loading')}
                  </div>
                )
              if (row.is === 'node') {
                const mine = pointsUnder.get(row.node.id) ?? []
                const items: MenuProps['items'] = [
                  {
                    key: 'all',
                    label: t('media:tree.open_all', { n: Math.min(16, mine.length) }),
                    disabled: mine.length === 0,
                    onClick: () => onChooseMany?.(mine),
                  },
                ]
                const line = (
                  <div
                    key={row.node.id}
                    {...common}
                    className={`ptree-row ptree-node${row.node.points.total === 0 ? ' ptree-bare' : ''}`}
                    aria-expanded={row.open}
                    onClick={() => {
                      setCurrent(index)
                      flip(row.node.id)
                    }}
                  >
                    <CaretRightOutlined rotate={row.open ? 90 : 0} />
                    <span>{row.node.name}</span>
                    <small>{`${count(row.node.points.online)}/${count(row.node.points.total)}`}</small>
                  </div>
                )
                return onChooseMany && row.open ? (
                  <Dropdown key={row.node.id} trigger={['contextMenu']} menu={{ items }}>
                    {line}
                  </Dropdown>
                ) : (
                  line
                )
              }
              const { point } = row
              return (
                <Dropdown
                  key={point.id}
                  trigger={['contextMenu']}
                  menu={{
                    items: acts.map(({ key, label, run }) => ({ key, label, onClick: () => run(point) })),
                  }}
                >
                  <div
                    {...common}
                    className="ptree-row ptree-point"
                    aria-selected={chosen.includes(point.id)}
                    title={`${point.name}\n${point.code}`}
                    draggable
                    onDragStart={(event) => {
                      event.dataTransfer.setData(POINT_DRAG, point.id)
                      event.dataTransfer.effectAllowed = 'copy'
                    }}
                    onDoubleClick={() => onChoose(point)}
                  >
                    <PointState point={point} />
                    <span>{point.name}</span>
                    <PointShape point={point} />
                    {point.recording ? (
                      <i
                        className="rec-dot"
                        title={t('media:tile.recording')}
                        role="img"
                        aria-label={t('media:tile.recording')}
                      />
                    ) : null}
                  </div>
                </Dropdown>
              )
            })}
          </div>
        )}
        {text !== '' && found.data?.cut ? <p className="ptree-none">{t('media:tree.more')}</p> : null}
      </div>
    </div>
  )
}

function PointState({ point }: { point: Point }) {
  return <StateMark state={useLiveState(point.id, point.state)} />
}

/** Fixed, dome, or one that can be turned. */
function PointShape({ point }: { point: Point }) {
  const { t } = useTranslation()
  const name = point.ptz ? 'ptz' : point.camera_type === 'dome' ? 'dome' : 'fixed'
  return (
    <svg
      className="ptree-shape"
      width="14"
      height="14"
      viewBox="0 0 14 14"
      fill="none"
      stroke="currentColor"
      role="img"
      aria-label={t(`media:tree.shape.${name}`)}
    >
      {name === 'fixed' ? <path d="M1.5 4.5h8v5h-8zM9.5 6l3-1.5v5L9.5 8" /> : null}
      {name === 'dome' ? <path d="M2 4.5h10M3 4.5a4 4 0 0 0 8 0M7 7v.1" /> : null}
      {name === 'ptz' ? (
        <path d="M7 1.5v11M1.5 7h11M5 3.5l2-2 2 2M5 10.5l2 2 2-2M3.5 5l-2 2 2 2M10.5 5l2 2-2 2" />
      ) : null}
    </svg>
  )
}
