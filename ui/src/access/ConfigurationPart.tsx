import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Configuration, DeviceDetail, Drift } from '../api/types'
import { useCan } from '../governance/session'
import { Act } from '../shared/Act'
import { Face, Failed, Loading } from '../shared/Face'
import { stamp } from '../shared/format'
import { AcceptDrift } from './AcceptDrift'
import { Changes } from './Changes'
import { useConfiguration, valueName } from './drifts'

/** What a device should say of its settings, and where it says something else. */
export function ConfigurationPart({ device }: { device: DeviceDetail }) {
  const { t } = useTranslation()
  const found = useConfiguration(device.id)
  if (found.error) return <Failed error={found.error} retry={() => void found.refetch()} />
  if (!found.data) return <Loading />
  const { baseline, drifts } = found.data
  return (
    <>
      {drifts.map((drift) => (
        <OpenDrift key={drift.id} drift={drift} />
      ))}
      {baseline ? (
        <Baseline baseline={baseline} toldAt={found.data.told_at} />
      ) : (
        <Face kind="empty" text={t('access:drift.no_baseline')} detail={t('access:drift.no_baseline_why')} />
      )}
    </>
  )
}

function OpenDrift({ drift }: { drift: Drift }) {
  const { t } = useTranslation()
  const can = useCan()
  const [asked, setAsked] = useState(false)
  return (
    <section className="drift" aria-label={t(`access:drift.kind.${drift.kind}`)}>
      <div className="drift-head">
        <b>{t(`access:drift.kind.${drift.kind}`)}</b>
        <span className="muted">{t('access:drift.since', { at: stamp(drift.opened_at) })}</span>
        <Act size="small" reason={can.adopt ? null : t('shared:not_allowed')} run={() => setAsked(true)}>
          {t('access:drift.accept')}
        </Act>
      </div>
      {drift.kind === 'baseline' ? <p>{t('access:drift.tampered')}</p> : <Changes changes={drift.changes} />}
      {asked ? <AcceptDrift drift={drift} onClose={() => setAsked(false)} /> : null}
    </section>
  )
}

function Baseline({
  baseline,
  toldAt,
}: {
  baseline: NonNullable<Configuration['baseline']>
  toldAt: string | null
}) {
  const { t } = useTranslation()
  return (
    <section aria-label={t('access:drift.baseline')}>
      <dl className="facts device-facts">
        <dt>{t('access:drift.baseline')}</dt>
        <dd>
          {stamp(baseline.made_at)}{' '}
          <span className="muted">
            {baseline.made_by === null
              ? t('access:drift.origin.first_seen')
              : t('access:drift.origin.accepted', { who: baseline.made_by })}
          </span>
        </dd>
        <dt>{t('access:drift.signature')}</dt>
        <dd className={baseline.intact ? '' : 'drift-broken'}>
          {t(baseline.intact ? 'access:drift.intact' : 'access:drift.broken')}
        </dd>
        {toldAt === null ? null : (
          <>
            <dt>{t('access:drift.told_at')}</dt>
            <dd>{stamp(toldAt)}</dd>
          </>
        )}
      </dl>
      <table className="values">
        <thead>
          <tr>
            <th scope="col">{t('access:drift.name')}</th>
            <th scope="col">{t('access:drift.value')}</th>
          </tr>
        </thead>
        <tbody>
          {baseline.values.map(({ name, value }) => (
            <tr key={name}>
              <td title={name}>{valueName(name, t)}</td>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
