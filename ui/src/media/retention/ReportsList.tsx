import { CheckOutlined, WarningOutlined } from '@ant-design/icons'
import { useMemo, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { RetentionReport } from '../../api/types'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { count, stamp } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { size } from '../playback/clip'
import { FindingsDrawer } from './FindingsDrawer'
import { FAULTS, FINDINGS, isClean } from './retention'

/** The daily reports; a day opens what it found. */
export function ReportsList({ children }: { children: ReactNode }) {
  const { t } = useTranslation()
  const [search, , put] = useAddress()
  const day = search.get('day')
  const list = usePages<RetentionReport>('retention-reports', '/retention/reports')
  const columns = useMemo<Column<RetentionReport>[]>(
    () => [
      {
        key: 'day',
        title: t('media:retention.day'),
        width: '130px',
        render: (one) => <b>{one.day}</b>,
      },
      {
        key: 'verdict',
        title: t('media:retention.verdict'),
        width: 'minmax(170px, 1.4fr)',
        render: (one) =>
          isClean(one) ? (
            <span className="retention-good">
              <CheckOutlined /> {t('media:retention.good')}
            </span>
          ) : (
            <span className="retention-bad" title={Object.values(one.failed).join('；')}>
              <WarningOutlined /> {t('media:retention.bad')}
            </span>
          ),
      },
      ...FINDINGS.map((kind): Column<RetentionReport> => {
        const title = t(`media:retention.kind.${kind}`)
        return {
          key: kind,
          title: <span title={t(`media:retention.about.${kind}`)}>{title}</span>,
          width: 'minmax(90px, 0.8fr)',
          align: 'end',
          render: ({ counts }) => {
            const n = counts[kind] ?? 0
            return n === 0 ? (
              <span className="muted">0</span>
            ) : (
              <b className={FAULTS.includes(kind) ? 'retention-bad' : ''}>{count(n)}</b>
            )
          },
        }
      }),
      {
        key: 'deleted',
        title: t('media:retention.deleted'),
        width: 'minmax(150px, 1fr)',
        align: 'end',
        render: (one) =>
          t('media:retention.objects', { n: count(one.deleted), size: size(one.deleted_bytes) }),
      },
      {
        key: 'made',
        title: t('media:retention.made'),
        width: '190px',
        render: (one) => <span title={`SHA-256 ${one.digest}`}>{stamp(one.made_at)}</span>,
      },
    ],
    [t],
  )
  return (
    <>
      <ListPage
        list={list}
        label={t('media:retention.views.reports')}
        columns={columns}
        rowKey={(one) => one.day}
        rowHeight={40}
        selected={day}
        onOpen={(one) => put({ day: one.day, kind: null })}
        empty={
          <Face kind="empty" text={t('media:retention.no_reports')} detail={t('media:retention.lead')} />
        }
      >
        {children}
        <span className="muted retention-lead">{t('media:retention.lead')}</span>
      </ListPage>
      <FindingsDrawer
        day={day}
        report={list.rows.find((one) => one.day === day) ?? null}
        onClose={() => put({ day: null, kind: null })}
      />
    </>
  )
}
