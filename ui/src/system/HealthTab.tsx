import { useQuery } from '@tanstack/react-query'
import { Button } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { Health } from '../api/types'
import { Failed, Loading, Stale } from '../shared/Face'
import { clock } from '../shared/format'
import { said } from '../said/said'

const EVERY_MS = 10_000

/** What is wrong, down to its cause: the branch that is not well stands open. */
export function HealthTab() {
  const { t } = useTranslation()
  const health = useQuery({
    queryKey: ['health'],
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => fetched<Health>('GET', '/health', { signal }),
  })
  if (!health.data)
    return health.error ? <Failed error={health.error} retry={() => void health.refetch()} /> : <Loading />
  return (
    <>
      {health.error ? <Stale since={health.dataUpdatedAt} retry={() => void health.refetch()} /> : null}
      <div className="page-scroll">
        <header className="health-head">
          <HealthMark status={health.data.status} />
          <h2>{t(`system:health.${health.data.status}`)}</h2>
          <span className="muted">{t('system:health.read_at', { at: clock(health.dataUpdatedAt) })}</span>
          <Button size="small" loading={health.isFetching} onClick={() => void health.refetch()}>
            {t('system:health.again')}
          </Button>
        </header>
        {health.data.causes.length > 0 ? (
          <ul className="health">
            {health.data.causes.map((cause) => (
              <Branch key={cause.name} health={cause} />
            ))}
          </ul>
        ) : (
          <p className="muted">{t('system:health.no_parts')}</p>
        )}
      </div>
    </>
  )
}

function HealthMark({ status }: { status: Health['status'] }) {
  const { t } = useTranslation()
  return (
    <svg
      className={`health-${status}`}
      width="14"
      height="14"
      viewBox="0 0 14 14"
      role="img"
      aria-label={t(`system:status.${status}`)}
    >
      {status === 'ok' ? <circle cx="7" cy="7" r="5" fill="currentColor" /> : null}
      {status === 'degraded' ? <path d="M7 1.5L13 12.5H1z" fill="currentColor" /> : null}
      {status === 'down' ? <path d="M2 2h10v10H2z" fill="currentColor" /> : null}
    </svg>
  )
}

function Branch({ health }: { health: Health }) {
  const { t } = useTranslation()
  const [flipped, setFlipped] = useState(false)
  const open = (health.status !== 'ok') !== flipped
  // What is wrong with several parts is said of each part.
  const told = health.status !== 'ok' && health.causes.length > 1
  const line = (
    <>
      <HealthMark status={health.status} />
      <b>{t(`system:part.${health.name}`, { defaultValue: said(health.name) })}</b>
      <span className={`health-word health-${health.status}`}>{t(`system:status.${health.status}`)}</span>
      <span className="health-detail">{told ? '' : said(health.detail)}</span>
    </>
  )
  return (
    <li>
      {health.causes.length > 0 ? (
        <button
          type="button"
          className="health-line"
          aria-expanded={open}
          onClick={() => setFlipped(!flipped)}
        >
          <span className="health-arrow" aria-hidden>
            {open ? '▾' : '▸'}
          </span>
          {line}
        </button>
      ) : (
        <div className="health-line">
          <span className="health-arrow" />
          {line}
        </div>
      )}
      {open && health.causes.length > 0 ? (
        <ul>
          {health.causes.map((cause) => (
            <Branch key={cause.name} health={cause} />
          ))}
        </ul>
      ) : null}
    </li>
  )
}
