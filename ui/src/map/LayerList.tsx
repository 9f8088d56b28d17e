import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { Counts } from '../api/types'
import type { useCounts } from '../shell/counts'
import { Failed, Loading } from '../shared/Face'
import { count } from '../shared/format'
import { StateMark } from '../shared/StateMark'
import { CLASSES, isShown, KINDS, only, STATES, toggled, type Filters } from './filters'
import { kindPaths } from './symbols'

interface LayerListProps {
  counts: ReturnType<typeof useCounts>
  filters: Filters
  onFilters: (filters: Filters) => void
  onList: (filters: Filters) => void
}

/** What the map shows and how much of it there is; each row switches, each figure opens its rows. */
export function LayerList({ counts, filters, onFilters, onList }: LayerListProps) {
  if (counts.data)
    return <Rows counts={counts.data} filters={filters} onFilters={onFilters} onList={onList} />
  return counts.error ? <Failed error={counts.error} retry={() => void counts.refetch()} /> : <Loading />
}

function Rows({ counts, filters, onFilters, onList }: Omit<LayerListProps, 'counts'> & { counts: Counts }) {
  const { t } = useTranslation()
  const owners = counts.owners.map((owner) => owner.id)
  const row = <K extends keyof Filters>(
    name: K,
    all: readonly NonNullable<Filters[K]>[number][],
    value: NonNullable<Filters[K]>[number],
    label: ReactNode,
    total: number,
  ) => {
    const shown = filters[name] as readonly unknown[] | null
    const set = (values: readonly unknown[] | null) => ({ ...filters, [name]: values })
    return (
      <LayerRow
        key={value}
        on={isShown<unknown>(shown, value)}
        label={label}
        total={total}
        onToggle={(alone) =>
          onFilters(set(alone ? only<unknown>(shown, value) : toggled<unknown>(shown, all, value)))
        }
        onList={() => onList(set([value]))}
      />
    )
  }
  return (
    <div className="layers">
      <Group title={t('map:by.kind')}>
        {KINDS.filter((kind) => (counts.kinds[kind]?.total ?? 0) > 0).map((kind) =>
          row(
            'kind',
            KINDS,
            kind,
            <>
              <svg className="layer-kind" width="14" height="14" viewBox="0 0 20 20" aria-hidden>
                <path d={kindPaths[kind]} fill="currentColor" />
              </svg>
              {t(`shared:kind.${kind}`)}
            </>,
            counts.kinds[kind]?.total ?? 0,
          ),
        )}
      </Group>
      <Group title={t('map:by.class')}>
        {CLASSES.filter((value) => (counts.classes[value]?.total ?? 0) > 0).map((value) =>
          row('class', CLASSES, value, t(`shared:class.${value}`), counts.classes[value]?.total ?? 0),
        )}
      </Group>
      <Group title={t('map:by.state')}>
        {STATES.map((state) => row('state', STATES, state, <StateMark state={state} label />, counts[state]))}
      </Group>
      {counts.owners.length > 0 ? (
        <Group title={t('map:by.owner')}>
          {counts.owners.map((owner) => row('owner', owners, owner.id, owner.name, owner.counts.total))}
        </Group>
      ) : null}
      <p className="layers-hint">{t('map:alone')}</p>
    </div>
  )
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset>
      <legend>{title}</legend>
      {children}
    </fieldset>
  )
}

interface LayerRowProps {
  on: boolean
  label: ReactNode
  total: number
  onToggle: (alone: boolean) => void
  onList: () => void
}

function LayerRow({ on, label, total, onToggle, onList }: LayerRowProps) {
  const { t } = useTranslation()
  return (
    <div className={on ? 'layer' : 'layer layer-off'}>
      <button
        type="button"
        role="checkbox"
        aria-checked={on}
        onClick={(event) => onToggle(event.altKey || event.ctrlKey || event.metaKey)}
        onDoubleClick={() => onToggle(true)}
      >
        <span className="tick" aria-hidden />
        {label}
      </button>
      <button
        type="button"
        className="layer-count"
        title={t('map:list_these')}
        aria-label={t('map:list_count', { n: count(total) })}
        onClick={onList}
      >
        {count(total)}
      </button>
    </div>
  )
}
