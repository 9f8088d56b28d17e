import { useTranslation } from 'react-i18next'
import type { Evidence, EvidenceItem } from '../api/types'
import { ago, stamp } from '../shared/format'
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
                <svg
                  width="10"
                  height="10"
                  viewBox="0 0 10 10"
                  fill="none"
                  stroke="currentColor"
                  strokeWidth="1.6"
                  role="img"
                  aria-label={t(`registry:evidence.${markOf(item)}`)}
                >
                  <path d={MARKS[markOf(item)]} />
                </svg>
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
        </tbody>
      </table>
    </div>
  )
}
