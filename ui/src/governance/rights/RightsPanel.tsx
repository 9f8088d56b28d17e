import { CheckCircleOutlined, ClockCircleOutlined, StopOutlined } from '@ant-design/icons'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Answer, Id, Reach, Rights } from '../../api/types'
import { said } from '../../said/said'
import { Failed, Loading } from '../../shared/Face'
import { stamp } from '../../shared/format'
import { useCan } from '../session'
import { UserPicker } from './UserPicker'
import './rights.css'

/** What somebody may do with this point, and what says so. */
export function RightsPanel({ point }: { point: Id }) {
  const { t } = useTranslation()
  const can = useCan()
  const [user, setUser] = useState<Id | null>(null)
  const rights = useQuery({
    queryKey: ['rights', point, user],
    queryFn: ({ signal }) => fetched<Rights>('GET', '/rights', { query: { point, user }, signal }),
  })
  return (
    <div className="rights">
      {can.manage_users ? <UserPicker value={user} onChange={setUser} /> : null}
      {rights.data ? (
        <>
          <p>
            <b>{rights.data.user.display_name}</b>{' '}
            <span className="muted">
              {rights.data.user.username} · {t(`governance:role.${rights.data.role}`)} ·{' '}
              {rights.data.user.organisation.name}
            </span>
          </p>
          <ul className="rights-answers" aria-label={t('governance:rights.answers')}>
            {rights.data.answers.map((answer) => (
              <AnswerLine key={`${answer.action} ${answer.about}`} answer={answer} />
            ))}
          </ul>
          <h3>{t('governance:rights.because')}</h3>
          {rights.data.grants.length === 0 ? <p className="muted">{t('governance:grant.none')}</p> : null}
          <ul className="rights-grants">
            {rights.data.grants.map((reach) => (
              <GrantLine key={reach.grant.id} reach={reach} />
            ))}
          </ul>
        </>
      ) : rights.error ? (
        <Failed error={rights.error} retry={() => void rights.refetch()} />
      ) : (
        <Loading />
      )}
    </div>
  )
}

function AnswerLine({ answer }: { answer: Answer }) {
  const { t } = useTranslation()
  const about = answer.about === 'live' ? '' : ` · ${t(`governance:rights.about.${answer.about}`)}`
  const [state, mark, why] =
    answer.verdict === 'allowed'
      ? (['yes', <CheckCircleOutlined key="yes" />, t('governance:rights.yes')] as const)
      : answer.lack
        ? ([
            'when',
            <ClockCircleOutlined key="when" />,
            t(answer.lack === 'approval' ? 'governance:rights.approval' : 'governance:rights.purpose'),
          ] as const)
        : ([
            'no',
            <StopOutlined key="no" />,
            answer.verdict === 'unseen' ? t('governance:rights.unseen') : said(answer.reason),
          ] as const)
  return (
    <li className={`rights-${state}`}>
      <span aria-hidden>{mark}</span>
      <span>
        {t(`governance:action.${answer.action}`)}
        {about}
      </span>
      <span className="rights-why">{why}</span>
    </li>
  )
}

function GrantLine({ reach: { grant, in_force: holds, miss } }: { reach: Reach }) {
  const { t } = useTranslation()
  const list = (key: string, words: readonly string[]) =>
    words.length ? [`${t(`governance:grant.${key}`)}：${words.join('、')}`] : []
  const parts = [
    ...list(
      'classes',
      grant.classes.map((one) => t(`shared:class.${one}`, { defaultValue: String(one) })),
    ),
    ...list(
      'kinds',
      grant.kinds.map((one) => t(`shared:kind.${one}`, { defaultValue: one })),
    ),
    ...list('departments', grant.departments),
    ...list('zones', grant.zones),
    ...(grant.live ? [t('governance:grant.live_hours')] : []),
    grant.has_history
      ? grant.history_from === null
        ? t('governance:grant.history_all')
        : t('governance:rights.since', { at: stamp(grant.history_from).slice(0, 16) })
      : t('governance:grant.history_none'),
    ...(grant.ends_at ? [t('governance:rights.until', { at: stamp(grant.ends_at).slice(0, 16) })] : []),
  ]
  return (
    <li className={holds && !miss ? 'rights-yes' : 'rights-no'}>
      <span aria-hidden>{holds && !miss ? <CheckCircleOutlined /> : <StopOutlined />}</span>
      <span>
        {grant.organisation.name}
        <span className="muted"> · {parts.join(' · ')}</span>
      </span>
      <span className="rights-why">
        {miss
          ? t(`governance:rights.miss.${miss}`)
          : holds
            ? t('governance:rights.reaches')
            : t(
                Date.parse(grant.starts_at) > Date.now()
                  ? 'governance:rights.not_yet'
                  : 'governance:rights.over',
              )}
      </span>
    </li>
  )
}
