import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched, refusal, urlOf } from '../../api/client'
import type { ExportJob } from '../../api/types'
import { paths } from '../../app/paths'
import { Two } from '../../governance/duties/Two'
import { useReasons } from '../../governance/reasons/useReasons'
import { useCan } from '../../governance/session'
import { said } from '../../said/said'
import { Act } from '../../shared/Act'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { rangeText, stamp } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'
import { useSure } from '../../shared/useSure'
import { size } from '../playback/clip'
import { EVERY_MS, shareOf } from './exports'
import './exports.css'

/** Packages that are made, ready or over, with what can be done with them. */
export function ExportsTab() {
  const { t } = useTranslation()
  const can = useCan()
  if (!can.export)
    return <Face kind="forbidden" text={t('shared:not_allowed')} detail={t('shared:face.ask_admin')} />
  return <Exports />
}

function Exports() {
  const { t } = useTranslation()
  const sure = useSure()
  const reasons = useReasons()
  const list = usePages<ExportJob>('exports', '/exports', {}, EVERY_MS)
  const { mutate: giveUp } = useDo({
    run: ({ id }: ExportJob) => fetched<ExportJob>('DELETE', `/exports/${id}`),
    renew: [['exports']],
  })
  const { mutate: take } = useDo({
    run: async (one: ExportJob) => {
      const url = urlOf(`/exports/${one.id}/package.zip`)
      const points = one.items.map(({ point, name }) => ({ id: point, name }))
      const start = Math.min(...one.items.map((item) => Date.parse(item.start)))
      const end = Math.max(...one.items.map((item) => Date.parse(item.end)))
      // asked first without a byte, so that what is missing is said here and not by a page of errors
      const ready = await reasons.insist(
        async () => {
          const response = await fetch(url, { method: 'HEAD', credentials: 'same-origin' })
          if (!response.ok) throw await refusal(await fetch(url, { credentials: 'same-origin' }))
          return true
        },
        { action: 'export', points, start, end },
      )
      if (ready !== true) return
      const link = document.createElement('a')
      link.href = url
      link.download = `anwang-export-${one.id}.zip`
      link.click()
    },
  })
  const columns = useMemo<Column<ExportJob>[]>(
    () => [
      {
        key: 'state',
        title: t('media:export.state_label'),
        width: 'minmax(190px, 1fr)',
        render: (one) => <StateOf job={one} />,
      },
      {
        key: 'what',
        title: t('media:export.what'),
        width: 'minmax(240px, 1.6fr)',
        render: ({ items }) => {
          const [first, ...rest] = items
          if (first === undefined) return null
          return (
            <Two
              first={
                <Link
                  title={items.map(({ name, start, end }) => `${name} ${rangeText(start, end)}`).join('\n')}
                  to={paths.playback([first.point], first.start, { start: first.start, end: first.end })}
                >
                  {first.name}
                </Link>
              }
              second={`${rangeText(first.start, first.end)}${rest.length > 0 ? ` · ${t('media:export.more', { n: rest.length })}` : ''}`}
            />
          )
        },
      },
      {
        key: 'form',
        title: t('media:export.form'),
        width: '130px',
        render: ({ form, items }) => (
          <Two
            first={t(`media:export.${form}`)}
            second={
              form === 'redacted'
                ? t('media:export.areas_n', { n: items.reduce((sum, one) => sum + one.redactions, 0) })
                : ''
            }
          />
        ),
      },
      {
        key: 'by',
        title: t('media:export.by'),
        width: 'minmax(130px, 0.8fr)',
        render: ({ by, unit, created_at }) => (
          <Two first={<span title={unit}>{by}</span>} second={stamp(created_at).slice(5, 16)} />
        ),
      },
      {
        key: 'why',
        title: t('media:export.why'),
        width: 'minmax(180px, 1.2fr)',
        render: ({ purpose, case_no, recipient, note }) => {
          const kind = purpose ? t(`governance:purpose.kind.${purpose}`) : ''
          const rest = [kind, recipient, note].filter(Boolean)
          return (
            <Two
              first={<span title={case_no}>{case_no}</span>}
              second={<span title={rest.join('\n')}>{rest.join(' · ')}</span>}
            />
          )
        },
      },
      {
        key: 'size',
        title: t('media:export.size'),
        width: '150px',
        render: (one) => (
          <Two
            first={
              one.bytes_done > 0 ? (
                <span
                  title={one.manifest_sha256 ? `${t('media:export.copy_hash')} ${one.manifest_sha256}` : ''}
                >
                  {size(one.bytes_done)}
                </span>
              ) : (
                ''
              )
            }
            second={
              one.state === 'ready' && one.expires_at
                ? t('media:export.until', { day: stamp(one.expires_at).slice(5, 16) })
                : ''
            }
          />
        ),
      },
      {
        key: 'acts',
        title: <span className="visually-hidden">{t('media:export.acts')}</span>,
        width: '190px',
        align: 'end',
        render: (one) => (
          <span className="row-acts">
            <Act
              size="small"
              type={one.state === 'ready' ? 'primary' : 'default'}
              reason={
                one.state === 'ready'
                  ? null
                  : t(one.under_way ? 'media:export.not_ready' : 'media:export.over')
              }
              run={() => take(one)}
            >
              {t('media:export.download')}
            </Act>
            {one.under_way ? (
              <Act size="small" run={() => giveUp(one)}>
                {t('media:export.cancel')}
              </Act>
            ) : (
              <Act
                size="small"
                reason={one.state === 'ready' ? null : t('media:export.over')}
                run={() =>
                  sure({
                    title: t('media:export.discard_title'),
                    text: t('media:export.discard_text'),
                    ok: t('media:export.discard'),
                    run: () => giveUp(one),
                  })
                }
              >
                {t('media:export.discard')}
              </Act>
            )}
          </span>
        ),
      },
    ],
    [t, sure, take, giveUp],
  )
  return (
    <ListPage
      list={list}
      label={t('media:export.title')}
      columns={columns}
      rowKey={({ id }) => id}
      rowHeight={56}
      empty={<Face kind="empty" text={t('media:export.none')} detail={t('media:export.none_how')} />}
    />
  )
}

function StateOf({ job }: { job: ExportJob }) {
  const { t } = useTranslation()
  const name = t(`media:export.state.${job.state}`)
  if (job.state === 'running') {
    const percent = `${Math.floor(shareOf(job) * 100)} %`
    return (
      <span className="export-state duty-two">
        <span>
          {name} · {percent} · {size(job.bytes_done)}
        </span>
        <progress aria-label={name} value={shareOf(job)} />
      </span>
    )
  }
  const why = job.state === 'failed' ? [said(job.reason), said(job.hint)].filter(Boolean).join(' — ') : ''
  return (
    <Two
      first={<span className={`export-${job.state}`}>{name}</span>}
      second={<span title={why}>{why}</span>}
    />
  )
}
