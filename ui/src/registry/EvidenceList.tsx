import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { Evidence, EvidenceItem } from '../api/types'
import { age, ago, coordinates, count, stamp } from '../shared/format'
import { StateMark } from '../shared/StateMark'
import { useNow } from '../shared/useNow'
import { said } from '../said/said'
import './registry.css'

type Mark = 'ok' | 'bad' | 'unheard'

const MARKS: Record<Mark, string> = {
  ok: 'M1.5 5.5l2.5 2.5 4.5-6',
  bad: 'M1.5 1.5l7 7M8.5 1.5l-7 7',
  unheard: 'M5 1.4a3.6 3.6 0 1 1 0 7.2 3.6 3.6 0 0 1 0-7.2z',
}

/** What was never heard is not bad by itself: nobody may have asked for a picture yet. */
function markOf({ ok, age_s }: EvidenceItem): Mark {
  return ok ? 'ok' : age_s === null ? 'unheard' : 'bad'
}

/** What a device answered when it was asked how it is. */
function Report({ report, since }: { report: NonNullable<Evidence['report']>; since: number }) {
  const { t } = useTranslation()
  const bad = report.online === false || report.healthy === false || report.clock_wrong
  const off = report.clock_off_s ?? 0
  const words = [
    report.online === null ? '' : t(`registry:evidence.report.${report.online ? 'online' : 'offline'}`),
    report.healthy === null ? '' : t(`registry:evidence.report.${report.healthy ? 'healthy' : 'faulty'}`),
    report.reason ?? '',
    report.recording ? t('registry:evidence.report.recording') : '',
    report.clock_wrong
      ? t(`registry:evidence.report.${off > 0 ? 'ahead' : 'behind'}`, { age: age(Math.abs(off), t) })
      : '',
    ...report.alarms.map(({ input, duty }) =>
      t(`registry:evidence.report.duty.${DUTIES[duty] ?? 'unknown'}`, { input }),
    ),
  ]
  return (
    <Told
      mark={bad ? 'bad' : 'ok'}
      kind={t('registry:evidence.kind.report')}
      at={report.received_at}
      seconds={report.age_s + since}
    >
      {words.filter(Boolean).join(t('registry:evidence.report.comma'))}
    </Told>
  )
}

const DUTIES: Partial<Record<string, 'armed' | 'disarmed' | 'alarm'>> = {
  ONDUTY: 'armed',
  OFFDUTY: 'disarmed',
  ALARM: 'alarm',
}

/** Where a moving point said it was. */
function Position({ position, since }: { position: NonNullable<Evidence['position']>; since: number }) {
  const { t } = useTranslation()
  const words = [
    coordinates(position.longitude, position.latitude),
    position.speed_kmh === null ? '' : `${count(Math.round(position.speed_kmh))} km/h`,
    position.direction_deg === null ? '' : `${count(Math.round(position.direction_deg))}°`,
  ]
  return (
    <Told
      mark="ok"
      kind={t('registry:evidence.kind.position')}
      at={position.at ?? position.received_at}
      seconds={position.age_s + since}
    >
      {words.filter(Boolean).join(' · ')}
    </Told>
  )
}

function Told(props: { mark: Mark; kind: string; at: string; seconds: number; children: ReactNode }) {
  const { t } = useTranslation()
  return (
    <tr className={`evidence-${props.mark}`}>
      <th scope="row">
        <MarkIcon mark={props.mark} />
        {props.kind}
      </th>
      <td title={stamp(props.at)}>{ago(props.seconds, t)}</td>
      <td className="evidence-detail">{props.children}</td>
    </tr>
  )
}

function MarkIcon({ mark }: { mark: Mark }) {
  const { t } = useTranslation()
  return (
    <svg
      width="10"
      height="10"
      viewBox="0 0 10 10"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      role="img"
      aria-label={t(`registry:evidence.${mark}`)}
    >
      <path d={MARKS[mark]} />
    </svg>
  )
}

/** What was received, how long ago, and what follows from it. */
export function EvidenceList({ evidence, readAt }: { evidence: Evidence; readAt: number }) {
  const { t } = useTranslation()
  const since = Math.max(0, (useNow(1_000) - readAt) / 1000)
  return (
    <div className="evidence">
      <p className="evidence-verdict">
        <StateMark state={evidence.state} label /> <span>{said(evidence.verdict)}</span>
      </p>
      <table>
        <caption className="visually-hidden">{t('registry:evidence.title')}</caption>
        <tbody>
          {evidence.items.map((item) => (
            <tr key={item.kind} className={`evidence-${markOf(item)}`}>
              <th scope="row">
                <MarkIcon mark={markOf(item)} />
                {t(`registry:evidence.kind.${item.kind}`)}
              </th>
              <td title={item.at ? stamp(item.at) : undefined}>
                {item.age_s === null ? t('registry:evidence.never') : ago(item.age_s + since, t)}
              </td>
              <td className="evidence-detail" title={item.source ?? undefined}>
                {said(item.detail)}
              </td>
            </tr>
          ))}
          {evidence.report ? <Report report={evidence.report} since={since} /> : null}
          {evidence.position ? <Position position={evidence.position} since={since} /> : null}
        </tbody>
      </table>
    </div>
  )
}
