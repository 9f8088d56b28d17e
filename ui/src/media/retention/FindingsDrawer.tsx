import { Button, Drawer, Select } from 'antd'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import type { RetentionFinding, RetentionReport } from '../../api/types'
import { paths } from '../../app/paths'
import { said } from '../../said/said'
import { Copyable } from '../../shared/Copyable'
import { Face, Failed, Loading } from '../../shared/Face'
import { count, stamp } from '../../shared/format'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { size } from '../playback/clip'
import { FINDINGS } from './retention'

interface FindingsDrawerProps {
  day: string | null
  /** Null while it is not known. */
  report: RetentionReport | null
  onClose: () => void
}

/** What a day's report found, point by point, and why. */
export function FindingsDrawer({ day, report, onClose }: FindingsDrawerProps) {
  const { t } = useTranslation()
  const [search, , put] = useAddress()
  const kind = FINDINGS.find((one) => one === search.get('kind')) ?? null
  return (
    <Drawer
      open={day !== null}
      onClose={onClose}
      size={640}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{ wrapper: { maxWidth: '100%' } }}
      destroyOnHidden
      title={t('media:retention.report_of', { day: day ?? '' })}
      extra={
        <Select
          value={kind ?? 'all'}
          aria-label={t('media:retention.kinds')}
          style={{ width: 180 }}
          onChange={(next: string) => put({ kind: next === 'all' ? null : next })}
          options={[
            { value: 'all', label: t('media:retention.all_kinds') },
            ...FINDINGS.map((value) => ({ value, label: t(`media:retention.kind.${value}`) })),
          ]}
        />
      }
      footer={
        report ? (
          <>
            <span className="muted">{t('media:retention.digest')}</span> <Copyable text={report.digest} />
          </>
        ) : null
      }
    >
      {report
        ? Object.entries(report.failed).map(([keeper, why]) => (
            <p key={keeper} className="retention-fault">
              {t('media:retention.failed', {
                keeper: t(`media:retention.keeper.${keeper}`, keeper),
                why: said(why),
              })}
            </p>
          ))
        : null}
      {day === null ? null : <Findings key={`${day}${kind ?? ''}`} day={day} kind={kind} />}
      {report && report.left_out > 0 ? (
        <p className="retention-fault">{t('media:retention.left_out', { n: count(report.left_out) })}</p>
      ) : null}
    </Drawer>
  )
}

function Findings({ day, kind }: { day: string; kind: string | null }) {
  const { t } = useTranslation()
  const list = usePages<RetentionFinding>('retention-findings', `/retention/reports/${day}`, { kind })
  if (list.error) return <Failed error={list.error} retry={() => void list.refetch()} />
  if (list.isPending) return <Loading />
  if (list.rows.length === 0) return <Face kind="empty" text={t('media:retention.nothing')} />
  return (
    <>
      <ul className="retention-findings">
        {list.rows.map((one) => (
          <li key={one.id}>
            <span className={`retention-kind retention-${one.kind}`}>
              {t(`media:retention.kind.${one.kind}`)}
            </span>
            <b>
              {one.point === null ? (
                t(`media:retention.keeper.${one.keeper}`, one.keeper)
              ) : one.point.name === '' ? (
                <span title={one.point.id}>{t('media:retention.gone_point')}</span>
              ) : (
                <Link to={paths.playback([one.point.id], one.since)}>{one.point.name}</Link>
              )}
            </b>
            <span className="muted">
              {one.count > 0
                ? t('media:retention.objects', { n: count(one.count), size: size(one.bytes) })
                : t('media:retention.since', { at: stamp(one.since) })}
            </span>
            <span className="retention-why">
              {one.kind === 'short' ? t(`media:play.cause.${one.why}`, one.why) : said(one.why)}
            </span>
          </li>
        ))}
      </ul>
      {list.hasNextPage ? (
        <Button block onClick={list.onEnd}>
          {t('media:retention.more')}
        </Button>
      ) : null}
    </>
  )
}
