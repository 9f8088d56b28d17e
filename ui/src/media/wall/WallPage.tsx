import {
  ClearOutlined,
  FullscreenOutlined,
  HistoryOutlined,
  MenuFoldOutlined,
  MenuUnfoldOutlined,
} from '@ant-design/icons'
import { Button, Dropdown, Tooltip } from 'antd'
import { useCallback, useEffect, useMemo, useRef, useState, type DragEvent } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate, useSearchParams } from 'react-router'
import type { Id, Layout, Point } from '../../api/types'
import { paths } from '../../app/paths'
import { useCan } from '../../governance/session'
import { Act } from '../../shared/Act'
import { Face } from '../../shared/Face'
import { useKeys, type KeyBinding } from '../../shared/keys'
import { useFullScreen } from '../../shared/useFullScreen'
import { ears } from '../player/Ears'
import { Tile, type TileHandle } from '../tile/Tile'
import { VideoFace } from '../tile/VideoFace'
import { POINT_DRAG, PointTree } from '../tree/PointTree'
import { GridIcon } from './GridIcon'
import { Layouts } from './Layouts'
import { PtzPad } from './PtzPad'
import { useTour } from './tour'
import { TourBar } from './Tours'
import {
  cellsOf,
  GRIDS,
  neighbour,
  nextFree,
  put,
  putAll,
  readWall,
  SUB_FROM,
  wallOf,
  withGrid,
  writeWall,
  type WallState,
} from './wallState'
import './wall.css'

const TILE_DRAG = 'application/x-anwang-tile'
const TREE_KEY = 'anwang.wall.tree'
const SEARCH = 'wall-search'

/** The video wall: up to sixteen live pictures. All of its state is in the address. */
export function Component() {
  const { t } = useTranslation()
  const can = useCan()
  const navigate = useNavigate()
  const [search, setSearch] = useSearchParams()
  const state = useMemo(() => readWall(search), [search])
  const latest = useRef(state)
  // Only when the address has changed: a draw for another reason must not take back what is on its way there.
  useEffect(() => {
    latest.current = state
  }, [state])
  const change = useCallback(
    (act: (old: WallState) => WallState) => {
      latest.current = act(latest.current)
      setSearch(writeWall(latest.current), { replace: true })
    },
    [setSearch],
  )
  const recall = useCallback((layout: Layout) => change(() => wallOf(layout)), [change])
  const tour = useTour(recall)
  const { touring, pause } = tour
  const [tree, setTree] = useState(() => localStorage.getItem(TREE_KEY) !== 'hidden')
  const [ptz, setPtz] = useState<Id | null>(null)
  const [over, setOver] = useState<number | null>(null)
  /** The picture is enlarged only because it was to fill the screen. */
  const forScreen = useRef(false)
  const handles = useRef(new Map<Id, TileHandle>())

  const { grid, tiles, selected, big } = state
  const here = tiles[selected] ?? null
  const ptzOpen = ptz !== null && ptz === here
  const flipTree = () => {
    localStorage.setItem(TREE_KEY, tree ? 'hidden' : 'shown')
    setTree(!tree)
  }
  const select = (tile: number) => change((old) => ({ ...old, selected: tile }))
  const place = (point: Id, tile?: number) => change((old) => put(old, tile ?? nextFree(old), point))
  const close = (tile: number) => change((old) => ({ ...put(old, tile, null), big: false }))
  const enlarge = (tile: number) =>
    change((old) => ({ ...old, selected: tile, big: !old.big && old.tiles[tile] !== null }))
  const {
    on: full,
    enter,
    leave,
  } = useFullScreen(() => {
    if (forScreen.current) change((old) => ({ ...old, big: false }))
    forScreen.current = false
  })
  const fullScreen = () => (full ? leave() : enter())
  const fullPicture = (tile: number) => {
    if (full && latest.current.big) {
      leave()
    } else {
      forScreen.current ||= !latest.current.big
      change((old) => ({ ...old, selected: tile, big: old.tiles[tile] !== null }))
      enter()
    }
  }
  // Keys act on what was chosen last, even where the page has not been drawn again since.
  const hereNow = () => latest.current.tiles[latest.current.selected] ?? null
  const told = (act: (handle: TileHandle) => void) => () => {
    const point = hereNow()
    const handle = point === null ? undefined : handles.current.get(point)
    if (handle) act(handle)
  }
  const go = (dx: number, dy: number) =>
    change((old) => ({ ...old, selected: neighbour(old.grid, old.selected, dx, dy) }))
  const step = (by: number) =>
    change((old) =>
      withGrid(old, GRIDS[Math.max(0, Math.min(GRIDS.length - 1, GRIDS.indexOf(old.grid) + by))] ?? old.grid),
    )

  const bindings: KeyBinding[] = [
    { keys: 'ArrowLeft', label: t('media:wall.key_select'), run: () => go(-1, 0) },
    { keys: 'ArrowRight', label: t('media:wall.key_select'), run: () => go(1, 0) },
    { keys: 'ArrowUp', label: t('media:wall.key_select'), run: () => go(0, -1) },
    { keys: 'ArrowDown', label: t('media:wall.key_select'), run: () => go(0, 1) },
    { keys: 'Enter', label: t('media:wall.key_enlarge'), run: () => enlarge(latest.current.selected) },
    { keys: 'Escape', label: t('media:wall.key_back'), run: () => change((old) => ({ ...old, big: false })) },
    { keys: 'Delete', label: t('media:wall.key_close'), run: () => close(latest.current.selected) },
    { keys: '[', label: t('media:wall.key_fewer'), run: () => step(-1) },
    { keys: ']', label: t('media:wall.key_more'), run: () => step(1) },
    {
      keys: 'l',
      label: t('media:wall.key_tree'),
      run: () => {
        if (!tree) flipTree()
        requestAnimationFrame(() => document.getElementById(SEARCH)?.focus())
      },
    },
    { keys: 's', label: t('media:tile.snapshot'), run: told((tile) => tile.snapshot()) },
    { keys: 'r', label: t('media:tile.replay'), run: told((tile) => tile.replay()) },
    {
      keys: 'p',
      label: t('media:tile.ptz'),
      run: () => setPtz((old) => (!can.ptz || old === hereNow() ? null : hereNow())),
    },
    { keys: 'q', label: t('media:tile.flip'), run: told((tile) => tile.flipStream()) },
    { keys: 'm', label: t('media:sound.key'), run: told((tile) => tile.hear()) },
    { keys: '+', label: t('media:sound.louder'), run: () => ears.louder() },
    { keys: '=', label: t('media:sound.louder'), run: () => ears.louder(), again: true },
    { keys: '-', label: t('media:sound.softer'), run: () => ears.softer() },
    { keys: 't', label: t('media:trace.show'), run: told((tile) => tile.trace()) },
    { keys: '0', label: t('media:tile.whole'), run: told((tile) => tile.wholePicture()) },
    { keys: 'f', label: t('media:wall.full'), run: fullScreen },
    { keys: 'Alt+f', label: t('media:tile.full'), run: () => fullPicture(latest.current.selected) },
  ]
  useKeys(t('media:wall.title'), bindings)
  useKeys(
    t('media:tour.title'),
    touring === null
      ? []
      : [
          { keys: 'Space', label: t('media:tour.pause'), run: touring.paused ? tour.resume : pause },
          { keys: 'PageDown', label: t('media:tour.next'), run: () => tour.go(1) },
          { keys: 'PageUp', label: t('media:tour.previous'), run: () => tour.go(-1) },
        ],
  )

  const chosen = tiles.slice(0, grid).filter((id): id is Id => id !== null)
  const denied = t('shared:not_allowed')
  const acts = [
    { key: 'next', label: t('media:wall.open_next'), run: (point: Point) => place(point.id) },
    {
      key: 'here',
      label: t('media:wall.open_here', { n: selected + 1 }),
      run: (point: Point) => place(point.id, selected),
    },
    {
      key: 'big',
      label: t('media:wall.open_big'),
      run: (point: Point) => change((old) => ({ ...put(old, nextFree(old), point.id), big: true })),
    },
    {
      key: 'playback',
      label: t('media:wall.open_playback'),
      run: (point: Point) => void navigate(paths.playback([point.id])),
    },
    {
      key: 'map',
      label: t('media:wall.open_map'),
      run: (point: Point) => void navigate(paths.map({ point: point.id })),
    },
  ]
  const onDrop = (event: DragEvent, tile: number) => {
    event.preventDefault()
    setOver(null)
    const point = event.dataTransfer.getData(POINT_DRAG) || event.dataTransfer.getData(TILE_DRAG)
    if (point !== '') place(point, tile)
  }
  const { columns, cells } = cellsOf(grid)
  if (!can.view_live)
    return <Face kind="forbidden" text={t('media:live.denied')} detail={t('shared:face.ask_admin')} />
  return (
    <div className="wall-page">
      {tree ? (
        <aside className="wall-side">
          <header>
            <h2>{t('media:tree.title')}</h2>
            <span className="muted">{t('media:wall.shown', { n: chosen.length, grid })}</span>
          </header>
          <PointTree
            searchId={SEARCH}
            chosen={tiles}
            acts={acts}
            onChoose={(point) => place(point.id)}
            onChooseMany={(points) =>
              change((old) =>
                putAll(
                  old,
                  points.map((point) => point.id),
                ),
              )
            }
          />
        </aside>
      ) : null}
      <div className="wall-main">
        <div className="wall-bar">
          <Tooltip title={tree ? t('media:tree.hide') : t('media:tree.show')}>
            <Button
              type="text"
              icon={tree ? <MenuFoldOutlined /> : <MenuUnfoldOutlined />}
              aria-label={tree ? t('media:tree.hide') : t('media:tree.show')}
              onClick={flipTree}
            />
          </Tooltip>
          <div className="wall-grids" role="radiogroup" aria-label={t('media:wall.grid')}>
            {GRIDS.map((one) => (
              <Tooltip key={one} title={t('media:wall.grid_of', { n: one })}>
                <button
                  type="button"
                  role="radio"
                  aria-checked={one === grid}
                  aria-label={t('media:wall.grid_of', { n: one })}
                  onClick={() => change((old) => withGrid(old, one))}
                >
                  <GridIcon grid={one} />
                  <span>{one}</span>
                </button>
              </Tooltip>
            ))}
          </div>
          <span className="wall-note muted">{grid >= SUB_FROM && !big ? t('media:wall.sub_note') : ''}</span>
          <Act
            icon={<HistoryOutlined />}
            to={paths.playback(chosen)}
            reason={!can.view_playback ? denied : chosen.length === 0 ? t('media:wall.nothing_shown') : null}
          >
            {t('media:wall.replay_all')}
          </Act>
          <Layouts state={state} onRecall={recall} onTour={tour.start} />
          <Tooltip title={t('media:wall.clear')}>
            <Button
              icon={<ClearOutlined />}
              aria-label={t('media:wall.clear')}
              disabled={chosen.length === 0}
              onClick={() =>
                change((old) => ({ ...old, tiles: Array.from({ length: old.grid }, () => null), big: false }))
              }
            />
          </Tooltip>
          <Tooltip title={`${t('media:wall.full')} (F)`}>
            <Button icon={<FullscreenOutlined />} aria-label={t('media:wall.full')} onClick={fullScreen} />
          </Tooltip>
        </div>
        {touring ? (
          <TourBar
            touring={touring}
            onGo={tour.go}
            onPause={pause}
            onResume={tour.resume}
            onStop={tour.stop}
          />
        ) : null}
        <div
          className="wall-grid"
          role="listbox"
          onPointerDownCapture={pause}
          onDragEnter={pause}
          aria-label={t('media:wall.title')}
          style={{ gridTemplate: `repeat(${columns}, minmax(0, 1fr)) / repeat(${columns}, minmax(0, 1fr))` }}
        >
          {cells.map(({ column, row, span }, tile) => {
            const point = tiles[tile] ?? null
            const isBig = big && tile === selected
            const area = isBig
              ? '1 / 1 / -1 / -1'
              : `${row + 1} / ${column + 1} / span ${span} / span ${span}`
            const cell = (
              <div
                key={point ?? `empty-${tile}`}
                className={`tile${over === tile ? ' tile-over' : ''}${isBig ? ' tile-big' : ''}`}
                role="option"
                aria-selected={tile === selected}
                aria-label={t('media:wall.tile_n', { n: tile + 1 })}
                style={{ gridArea: area }}
                draggable={point !== null && !ptzOpen && !isBig}
                onPointerDown={() => {
                  if (tile !== selected) select(tile)
                }}
                onDoubleClick={() => enlarge(tile)}
                onDragStart={(event) => {
                  if (point !== null) event.dataTransfer.setData(TILE_DRAG, point)
                }}
                onDragOver={(event) => {
                  event.preventDefault()
                  setOver(tile)
                }}
                onDragLeave={() => setOver(null)}
                onDrop={(event) => onDrop(event, tile)}
              >
                {point === null ? (
                  <VideoFace kind="empty" text={t('media:wall.empty')} detail={t('media:wall.empty_how')} />
                ) : (
                  <Tile
                    ref={(handle) => {
                      if (handle) handles.current.set(point, handle)
                      else handles.current.delete(point)
                    }}
                    point={point}
                    stream={
                      isBig
                        ? 'main'
                        : (state.streams[point] ??
                          (grid >= SUB_FROM || (span === 1 && grid > 4) ? 'sub' : 'main'))
                    }
                    {...(isBig
                      ? {}
                      : {
                          onStream: (stream) =>
                            change((old) => ({ ...old, streams: { ...old.streams, [point]: stream } })),
                        })}
                    ptzOpen={ptz === point}
                    onPtz={() => {
                      select(tile)
                      setPtz(ptz === point ? null : point)
                    }}
                    isFull={full && isBig}
                    onFull={() => fullPicture(tile)}
                    onClose={() => close(tile)}
                  >
                    {ptz === point && tile === selected ? (
                      <PtzPad point={point} onClose={() => setPtz(null)} />
                    ) : null}
                  </Tile>
                )}
              </div>
            )
            return point === null ? (
              cell
            ) : (
              <Dropdown
                key={point}
                trigger={['contextMenu']}
                menu={{
                  items: [
                    { key: 'big', label: t('media:wall.key_enlarge'), onClick: () => enlarge(tile) },
                    {
                      key: 'playback',
                      label: t('media:wall.open_playback'),
                      onClick: () => void navigate(paths.playback([point])),
                    },
                    {
                      key: 'map',
                      label: t('media:wall.open_map'),
                      onClick: () => void navigate(paths.map({ point })),
                    },
                    { type: 'divider' },
                    { key: 'close', label: t('shared:close'), onClick: () => close(tile) },
                  ],
                }}
              >
                {cell}
              </Dropdown>
            )
          })}
        </div>
      </div>
    </div>
  )
}
