import { Button, Select } from 'antd'
import { useCallback, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Ledger, LedgerRow } from '../../api/types'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { count, stamp } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { ABILITIES, useCan } from '../session'
import { LedgerDrawer } from './LedgerDrawer'
import { FILTERS, keyOf, LEDGER_KINDS, type Filters } from './rows'
import { TextFilter, TimeFilter } from './Filters'
import '../../shared/page.css'
import './ledger.css'

const PAGE = 100

/** The ledger, for whoever audits: latest first, asked by person, object, action, kind, case and time. */
export function Component() {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const filters = useMemo(
    () => Object.fromEntries(FILTERS.map((name) => [name, search.get(name)])) as Filters,
    [search],
  )
  if (!can.read_ledger)
    return <Face kind="forbidden" text={t('shared:not_allowed')} detail={t('shared:face.ask_admin')} />
  return (
    <div className="pane ledger">
      <header className="page-head">
        <h1>{t('governance:ledger.title')}</h1>
        <span className="muted">{t('governance:ledger.lead')}</span>
      </header>
      <Rows filters={filters} onFilter={put} />
    </div>
  )
}

interface RowsProps {
  filters: Filters
  onFilter: (values: Partial<Filters>) => void
}

function Rows({ filters, onFilter }: RowsProps) {
  const { t } = useTranslation()
  const all = usePages<LedgerRow>('ledger', '/ledger', { ...filters, limit: PAGE })
  const pages = (all.data?.pages ?? []) as Ledger[]
  const [opened, setOpened] = useState<LedgerRow | null>(null)
  const { onEnd, hasNextPage, isFetchingNextPage, fetchNextPage } = all
  // Where few rows fit, the server has looked at as many as it does at once: how far to go back is the reader's choice.
  const full = (pages.at(-1)?.items.length ?? 0) >= PAGE
  const goOn = useCallback(() => {
    if (full) onEnd()
  }, [full, onEnd])
  const list = useMemo(() => ({ ...all, onEnd: goOn }), [all, goOn])
  const filtered = FILTERS.some((name) => filters[name] !== null)
  const columns = useMemo<Column<LedgerRow>[]>(
    () => [
      {
        key: 'at',
        title: t('governance:ledger.at'),
        width: '190px',
        render: (row) => stamp(row.at),
      },
      {
        key: 'who',
        title: t('governance:ledger.actor'),
        width: 'minmax(120px, 0.8fr)',
        render: (row) => <span title={row.unit}>{row.user.name || row.user.id}</span>,
      },
      {
        key: 'kind',
        title: t('governance:ledger.kind'),
        width: '110px',
        render: (row) => t(`governance:ledger.kinds.${row.kind}`, { defaultValue: row.kind }),
      },
      {
        key: 'action',
        title: t('governance:ledger.action'),
        width: '120px',
        render: (row) =>
          row.action ? t(`governance:action.${row.action}`, { defaultValue: row.action }) : '',
      },
      {
        key: 'case',
        title: t('governance:ledger.case'),
        width: 'minmax(140px, 1fr)',
        render: (row) =>
          row.case
            ? `${t(`governance:purpose.kind.${row.reason}`, { defaultValue: row.reason })} ${row.case}`
            : '',
      },
      {
        key: 'detail',
        title: t('governance:ledger.detail'),
        width: 'minmax(200px, 2fr)',
        render: (row) => (
          <span title={row.detail}>
            {row.detail ||
              (row.objects.length > 0 ? t('governance:ledger.n_objects', { n: row.objects.length }) : '')}
          </span>
        ),
      },
      {
        key: 'outcome',
        title: t('governance:ledger.outcome'),
        width: '120px',
        render: (row) => row.outcome,
      },
      {
        key: 'terminal',
        title: t('governance:ledger.terminal'),
        width: '130px',
        render: (row) => <code>{row.terminal}</code>,
      },
    ],
    [t],
  )
  const copy = pages.at(-1)?.copy ?? 'used'
  const scanned = pages.reduce((sum, page) => sum + page.scanned, 0)
  const known = (words: readonly string[], name: string) =>
    words.map((value) => ({ value, label: t(`governance:${name}.${value}`) }))
  return (
    <>
      <div className="page-bar ledger-filters" role="search" aria-label={t('governance:ledger.filters')}>
        <TextFilter name="actor" value={filters.actor} onFilter={onFilter} />
        <TextFilter name="case" value={filters.case} onFilter={onFilter} />
        <TextFilter name="object" value={filters.object} onFilter={onFilter} wide />
        <Select
          allowClear
          aria-label={t('governance:ledger.action')}
          placeholder={t('governance:ledger.action')}
          value={filters.action}
          onChange={(action: string | undefined) => onFilter({ action: action ?? null })}
          options={known(ABILITIES, 'action')}
        />
        <Select
          allowClear
          aria-label={t('governance:ledger.kind')}
          placeholder={t('governance:ledger.kind')}
          value={filters.kind}
          onChange={(kind: string | undefined) => onFilter({ kind: kind ?? null })}
          options={known(LEDGER_KINDS, 'ledger.kinds')}
        />
        <TimeFilter name="from" value={filters.from} onFilter={onFilter} />
        <TimeFilter name="to" value={filters.to} onFilter={onFilter} />
        {filtered ? (
          <Button
            size="small"
            onClick={() => onFilter(Object.fromEntries(FILTERS.map((name) => [name, null])))}
          >
            {t('shared:clear')}
          </Button>
        ) : null}
      </div>
      <ListPage
        list={list}
        label={t('governance:ledger.title')}
        columns={columns}
        rowKey={keyOf}
        selected={opened ? keyOf(opened) : null}
        onOpen={setOpened}
        empty={<Face kind="empty" text={t('governance:ledger.none')} />}
      />
      <footer className="ledger-foot">
        <span className="muted" role="status">
          {t('governance:ledger.scanned', { shown: count(all.rows.length), scanned: count(scanned) })}
        </span>
        {copy === 'used' ? null : (
          <span className="muted" role="status">
            {t(`governance:ledger.copy.${copy}`)}
          </span>
        )}
        {hasNextPage ? (
          <Button size="small" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {t('governance:ledger.further')}
          </Button>
        ) : null}
      </footer>
      <LedgerDrawer
        row={opened}
        onClose={() => setOpened(null)}
        onFilter={(values) => {
          setOpened(null)
          onFilter(values)
        }}
      />
    </>
  )
}
