import { ThunderboltOutlined } from '@ant-design/icons'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import type { Approval, Named } from '../../api/types'
import { paths } from '../../app/paths'
import { age, stamp } from '../../shared/format'
import { useNow } from '../../shared/useNow'
import { runs } from './approvals'

export function StateOf({ approval }: { approval: Approval }) {
  const { t } = useTranslation()
  return (
    <span className={`approval-state approval-${approval.state}`}>
      {t(`governance:approval.state.${approval.state}`)}
    </span>
  )
}

export function Urgent({ approval }: { approval: Approval }) {
  const { t } = useTranslation()
  if (!approval.urgent) return null
  return (
    <span className="approval-mark" title={t('governance:approval.urgent')}>
      <ThunderboltOutlined aria-hidden /> {t('governance:approval.urgent_mark')}
    </span>
  )
}

/** How long it may still wait, or be used. */
export function Left({ approval }: { approval: Approval }) {
  const { t } = useTranslation()
  const now = useNow(10_000)
  if (!runs(approval)) return approval.decided_at === null ? null : stamp(approval.decided_at).slice(5, 16)
  const left = (Date.parse(approval.expires_at) - now) / 1000
  return (
    <span title={stamp(approval.expires_at)}>
      {t(approval.state === 'granted' ? 'governance:approval.good_for' : 'governance:approval.left', {
        age: age(left, t),
      })}
    </span>
  )
}

/** The points by name, each leading to itself. */
export function PointLinks({ points }: { points: readonly Named[] }) {
  return (
    <span
      title={points.map(({ id, name }) => name || id).join('\n')}
      onClick={(event) => event.stopPropagation()}
    >
      {points.map(({ id, name }, n) => (
        <span key={id}>
          {n > 0 ? '、' : ''}
          {name === '' ? <code>{id}</code> : <Link to={paths.map({ point: id })}>{name}</Link>}
        </span>
      ))}
    </span>
  )
}
