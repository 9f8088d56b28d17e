import {
  AppstoreOutlined,
  CaretRightOutlined,
  DeleteOutlined,
  EditOutlined,
  PlusOutlined,
  SaveOutlined,
  TeamOutlined,
} from '@ant-design/icons'
import { useQuery } from '@tanstack/react-query'
import { Button, Checkbox, Input, Popconfirm, Popover, Tooltip } from 'antd'
import { useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Layout, NewLayout, Page, Tour } from '../../api/types'
import { Failed } from '../../shared/Face'
import { useDo } from '../../shared/useDo'
import { TourForm } from './Tours'
import { layoutOf, type WallState } from './wallState'

interface LayoutsProps {
  state: WallState
  onRecall: (layout: Layout) => void
  onTour: (tour: Tour, layouts: readonly Layout[]) => void
}

async function whole<T>(path: string, signal: AbortSignal): Promise<T[]> {
  const items: T[] = []
  let cursor: string | null = null
  do {
    const page: Page<T> = await fetched<Page<T>>('GET', path, { query: { limit: 200, cursor }, signal })
    items.push(...page.items)
    cursor = page.next
  } while (cursor !== null)
  return items
}

/** Named walls and tours of them: one's own, which one may change, and those shared in the organisation. */
export function Layouts({ state, onRecall, onTour }: LayoutsProps) {
  const { t } = useTranslation()
  const [open, setOpen] = useState(false)
  const [name, setName] = useState('')
  const [shared, setShared] = useState(false)
  const [touring, setTouring] = useState<Tour | 'new' | null>(null)
  const layouts = useQuery({
    queryKey: ['layouts'],
    queryFn: ({ signal }) => whole<Layout>('/layouts', signal),
  })
  const tours = useQuery({ queryKey: ['tours'], queryFn: ({ signal }) => whole<Tour>('/tours', signal) })
  const items = layouts.data ?? []
  const error = layouts.error ?? tours.error
  const save = useDo({
    run: (layout: NewLayout & { id?: string }) => {
      const { id, ...json } = layout
      return fetched<Layout>('PUT', id ? `/layouts/${id}` : '/layouts', { json })
    },
    done: t('media:wall.saved'),
    renew: [['layouts']],
    then: () => setName(''),
  })
  const remove = useDo({
    run: (path: string) => fetched<undefined>('DELETE', path),
    done: t('media:wall.deleted'),
    renew: [['layouts'], ['tours']],
  })
  const title = name.trim()
  const small = (text: string, icon: ReactNode, run: () => void, on?: boolean) => (
    <Tooltip title={text} mouseEnterDelay={0.4}>
      <Button
        type="text"
        size="small"
        icon={icon}
        aria-label={text}
        {...(on === undefined ? {} : { 'aria-pressed': on, className: on ? 'tool-on' : '' })}
        onClick={run}
      />
    </Tooltip>
  )
  const removing = (what: string, path: string) => (
    <Popconfirm
      title={t('media:wall.delete_sure', { name: what })}
      okText={t('shared:delete')}
      cancelText={t('shared:cancel')}
      onConfirm={() => remove.mutate(path)}
    >
      <Button
        type="text"
        size="small"
        icon={<DeleteOutlined />}
        aria-label={`${t('shared:delete')} ${what}`}
      />
    </Popconfirm>
  )
  const content = (
    <div className="layouts">
      {error ? (
        <Failed error={error} retry={() => void Promise.all([layouts.refetch(), tours.refetch()])} />
      ) : null}
      <h3>{t('media:wall.layouts')}</h3>
      {items.length === 0 && !error ? <p className="muted">{t('media:wall.no_layouts')}</p> : null}
      <ul>
        {items.map((layout) => (
          <li key={layout.id}>
            <button
              type="button"
              className="layout-open"
              onClick={() => {
                onRecall(layout)
                setOpen(false)
              }}
            >
              <span>{layout.name}</span>
              <small>
                {t('media:wall.layout_of', {
                  n: layout.tiles.filter((tile) => tile !== null).length,
                  grid: layout.grid,
                })}
                {layout.mine ? '' : ` · ${layout.owner.name}`}
              </small>
            </button>
            {layout.mine ? (
              <>
                {small(t('media:wall.overwrite'), <SaveOutlined />, () =>
                  save.mutate({
                    id: layout.id,
                    name: layout.name,
                    shared: layout.shared,
                    ...layoutOf(state),
                  }),
                )}
                {small(
                  layout.shared ? t('media:wall.unshare') : t('media:wall.share'),
                  <TeamOutlined />,
                  () =>
                    save.mutate({
                      id: layout.id,
                      name: layout.name,
                      grid: layout.grid,
                      tiles: layout.tiles,
                      shared: !layout.shared,
                    }),
                  layout.shared,
                )}
                {removing(layout.name, `/layouts/${layout.id}`)}
              </>
            ) : (
              <Tooltip title={t('media:wall.shared_by', { name: layout.owner.name })}>
                <TeamOutlined />
              </Tooltip>
            )}
          </li>
        ))}
      </ul>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (title !== '') save.mutate({ name: title, shared, ...layoutOf(state) })
        }}
      >
        <Input
          value={name}
          maxLength={60}
          placeholder={t('media:wall.layout_name')}
          aria-label={t('media:wall.layout_name')}
          onChange={(event) => setName(event.target.value)}
        />
        <Button htmlType="submit" icon={<SaveOutlined />} disabled={title === ''} loading={save.isPending}>
          {t('shared:save')}
        </Button>
      </form>
      <Checkbox checked={shared} onChange={(event) => setShared(event.target.checked)}>
        {t('media:wall.share')}
      </Checkbox>
      <h3>
        {t('media:tour.title')}
        {small(t('media:tour.new'), <PlusOutlined />, () => setTouring('new'))}
      </h3>
      {touring ? (
        <TourForm
          key={touring === 'new' ? 'new' : touring.id}
          tour={touring === 'new' ? null : touring}
          layouts={items}
          onDone={() => setTouring(null)}
        />
      ) : null}
      {tours.data?.length === 0 && !touring ? <p className="muted">{t('media:tour.none')}</p> : null}
      <ul>
        {(tours.data ?? []).map((tour) => (
          <li key={tour.id}>
            <button
              type="button"
              className="layout-open"
              onClick={() => {
                onTour(tour, items)
                setOpen(false)
              }}
            >
              <span>
                <CaretRightOutlined aria-hidden /> {tour.name}
              </span>
              <small>
                {t('media:tour.of', { n: tour.steps.length })}
                {tour.mine ? '' : ` · ${tour.owner.name}`}
              </small>
            </button>
            {tour.mine ? (
              <>
                {small(t('media:tour.edit'), <EditOutlined />, () => setTouring(tour))}
                {removing(tour.name, `/tours/${tour.id}`)}
              </>
            ) : (
              <Tooltip title={t('media:wall.shared_by', { name: tour.owner.name })}>
                <TeamOutlined />
              </Tooltip>
            )}
          </li>
        ))}
      </ul>
    </div>
  )
  return (
    <Popover open={open} onOpenChange={setOpen} trigger="click" placement="bottomRight" content={content}>
      <Button icon={<AppstoreOutlined />}>{t('media:wall.layouts')}</Button>
    </Popover>
  )
}
