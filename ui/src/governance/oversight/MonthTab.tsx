import { useQuery } from '@tanstack/react-query'
import { Button, Select, Switch } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../../api/client'
import type { OversightMonth } from '../../api/types'
import { Act } from '../../shared/Act'
import { Failed, Loading } from '../../shared/Face'
import { count, stamp } from '../../shared/format'
import { useAddress } from '../../shared/useAddress'
import { cellsOf, csvOf, drill, monthsUntil, NAMES, wordsOf, type TableName } from './month'

/** A month in numbers, each of which leads to its rows; also as it may be published. */
export function MonthTab() {
  const { t } = useTranslation()
  const [search, , put] = useAddress()
  const [months] = useState(() => monthsUntil(Date.now()))
  // the newest one that is over: of the running one there is less to say every first of a month
  const month = search.get('month') ?? months[1] ?? ''
  const published = search.get('publishable') !== null
  const report = useQuery({
    queryKey: ['oversight', month, published],
    queryFn: ({ signal }) =>
      fetched<OversightMonth>('GET', '/oversight', {
        query: { month, publishable: published ? true : null },
        signal,
      }),
  })
  const known = months.includes(month) ? months : [month, ...months]
  const place = known.indexOf(month)
  const go = (step: number) => put({ month: known[place + step] ?? month })
  const data = report.data
  return (
    <>
      <div className="page-bar oversight-bar">
        <Act reason={known[place + 1] ? null : t('governance:oversight.no_more')} run={() => go(1)}>
          {t('governance:oversight.before')}
        </Act>
        <Select
          showSearch
          aria-label={t('governance:oversight.month')}
          value={month}
          onChange={(next: string) => put({ month: next })}
          options={known.map((value) => ({ value, label: value }))}
          style={{ width: 120 }}
        />
        <Act reason={place > 0 ? null : t('governance:oversight.no_more')} run={() => go(-1)}>
          {t('governance:oversight.after')}
        </Act>
        <label className="oversight-switch">
          <Switch
            size="small"
            checked={published}
            onChange={(on) => put({ publishable: on ? '1' : null })}
            aria-label={t('governance:oversight.publishable')}
          />
          <span title={t('governance:oversight.publishable_hint')}>
            {t('governance:oversight.publishable')}
          </span>
        </label>
        <span className="oversight-takes">
          <Button disabled={!data} onClick={() => data && save(data, csvOf(data, t))}>
            {t('governance:oversight.csv')}
          </Button>
          <Button disabled={!data} onClick={() => window.print()}>
            {t('governance:oversight.print')}
          </Button>
        </span>
      </div>
      {report.error ? (
        <Failed error={report.error} retry={() => void report.refetch()} />
      ) : data === undefined ? (
        <Loading />
      ) : (
        <Report report={data} />
      )}
    </>
  )
}

function Report({ report }: { report: OversightMonth }) {
  const { t } = useTranslation()
  return (
    <div className="page-scroll oversight-month">
      <h2 className="oversight-print">
        {t('governance:oversight.title')} {report.month}
      </h2>
      <p className="muted" role="status">
        {t('governance:oversight.span', { from: stamp(report.from), to: stamp(report.to) })}{' '}
        {report.publishable ? t('governance:oversight.publishable_hint') : null}{' '}
        {report.waiting > 0 ? t('governance:oversight.waiting', { n: count(report.waiting) }) : null}
      </p>
      <div className="oversight-tables">
        {NAMES.map((table) => (
          <Numbers key={table} table={table} report={report} />
        ))}
      </div>
    </div>
  )
}

const FIRST = 12

function Numbers({ table, report }: { table: TableName; report: OversightMonth }) {
  const { t } = useTranslation()
  const [whole, setWhole] = useState(false)
  const cells = cellsOf(report, table)
  const most = Math.max(1, ...cells.map((cell) => cell.count ?? 0))
  // with numbers left out a sum would be wrong, or tell of them
  const isWhole = cells.every((cell) => cell.count !== null)
  const total = cells.reduce((sum, cell) => sum + (cell.count ?? 0), 0)
  const shown = whole ? cells : cells.slice(0, FIRST)
  const span = { from: report.from, to: report.to }
  return (
    <section className="oversight-table" aria-label={t(`governance:oversight.tables.${table}`)}>
      <h3>
        {t(`governance:oversight.tables.${table}`)}
        <span className="muted">{isWhole ? count(total) : null}</span>
      </h3>
      <p className="muted">{t(`governance:oversight.about.${table}`)}</p>
      {cells.length === 0 ? <p className="oversight-none">{t('governance:oversight.none')}</p> : null}
      <table>
        <colgroup>
          <col />
          <col className="oversight-numbers" />
        </colgroup>
        <thead className="visually-hidden">
          <tr>
            <th>{t('governance:oversight.what')}</th>
            <th>{t('governance:oversight.number')}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((cell) => {
            const words = wordsOf(table, cell, t).join(' · ')
            const to = drill(table, cell, span)
            const number = cell.count === null ? t('governance:oversight.few') : count(cell.count)
            return (
              <tr key={cell.names.join('\n')}>
                <td title={words}>
                  <span
                    className="oversight-measure"
                    style={{ width: `${(100 * (cell.count ?? 0)) / most}%` }}
                    aria-hidden
                  />
                  <span className="oversight-words">{words}</span>
                </td>
                <td className="oversight-number">{to === null ? number : <Link to={to}>{number}</Link>}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
      {cells.length > FIRST ? (
        <Button type="link" size="small" onClick={() => setWhole(!whole)}>
          {t(whole ? 'governance:oversight.less' : 'governance:oversight.more', {
            n: count(cells.length - FIRST),
          })}
        </Button>
      ) : null}
    </section>
  )
}

function save(report: OversightMonth, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }))
  const link = document.createElement('a')
  link.href = url
  link.download = `oversight-${report.month}${report.publishable ? '-publishable' : ''}.csv`
  link.click()
  URL.revokeObjectURL(url)
}
