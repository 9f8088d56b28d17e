import { CloseOutlined } from '@ant-design/icons'
import { Button, Tooltip } from 'antd'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { placeOf, type EvidenceKind, type PointDetail } from '../api/types'
import { Link } from 'react-router'
import { paths } from '../app/paths'
import { RightsPanel } from '../governance/rights/RightsPanel'
import { useCan } from '../governance/session'
import { LivePicture } from '../media/LivePicture'
import { MaskEditor } from '../media/masks/MaskEditor'
import { PlayList } from '../media/PlayList'
import { Act } from '../shared/Act'
import { Copyable } from '../shared/Copyable'
import { Face, Failed, Loading } from '../shared/Face'
import { ago, coordinates, stamp } from '../shared/format'
import { StateMark } from '../shared/StateMark'
import { useNow } from '../shared/useNow'
import { EvidenceList } from './EvidenceList'
import { useLiveState } from './liveState'
import { useEvidence, useHistory, usePoint } from './queries'
import { StateHistory } from './StateHistory'
import { StateStrip } from './StateStrip'
import './registry.css'

const HOURS = 24
const NEAR_M = 500
type Part = 'evidence' | 'history' | 'plays' | 'rights'

/** The three kinds of evidence one line has room for. */
const BRIEF: readonly EvidenceKind[] = ['keepalive', 'picture', 'recording']

interface PointCardProps {
  id: string
  onClose: () => void
  onNear: (point: PointDetail, metres: number) => void
}

/** All that one wants to know of a point at a glance, and the five things one does next. */
export function PointCard({ id, onClose, onNear }: PointCardProps) {
  const { t } = useTranslation()
  const point = usePoint(id)
  return (
    <section className="card" aria-label={point.data?.name ?? t('registry:card.title')}>
      {point.data ? (
        <Known point={point.data} onClose={onClose} onNear={onNear} />
      ) : (
        <>
          <header className="card-head">
            <h2>{t('registry:card.title')}</h2>
            <Close onClose={onClose} />
          </header>
          {point.error ? <Failed error={point.error} retry={() => void point.refetch()} /> : <Loading />}
        </>
      )}
    </section>
  )
}

function Close({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  return (
    <Tooltip title={`${t('shared:close')} (Esc)`}>
      <Button
        type="text"
        size="small"
        icon={<CloseOutlined />}
        aria-label={t('shared:close')}
        onClick={onClose}
      />
    </Tooltip>
  )
}

function Known({
  point,
  onClose,
  onNear,
}: {
  point: PointDetail
  onClose: () => void
  onNear: PointCardProps['onNear']
}) {
  const { t } = useTranslation()
  const can = useCan()
  const now = useNow(1_000)
  const state = useLiveState(point.id, point.state)
  const evidence = useEvidence(point.id)
  const history = useHistory(point.id, HOURS)
  const [open, setOpen] = useState<Part | null>(null)
  const [masking, setMasking] = useState(false)
  const flip = (part: Part) => setOpen(open === part ? null : part)
  const opened = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (open) opened.current?.scrollIntoView({ block: 'start', behavior: 'smooth' })
  }, [open])
  const at = placeOf(point)
  const silent = point.streams.length === 0 ? t('registry:card.no_stream') : null
  const denied = t('shared:not_allowed')
  return (
    <>
      <header className="card-head">
        <StateMark state={state} />
        <h2 title={point.name}>{point.name}</h2>
        <span className="muted">{t(`shared:class.${point.class}`)}</span>
        <Close onClose={onClose} />
      </header>
      <div className="card-body">
        {silent ? null : can.view_live ? (
          <LivePicture key={point.id} point={point.id} name={point.name} />
        ) : (
          <Face kind="forbidden" text={t('registry:card.no_live')} detail={t('shared:face.ask_admin')} />
        )}
        <dl className="facts">
          <Fact name={t('registry:card.code')}>
            <Copyable text={point.code} />
          </Fact>
          <Fact name={t('registry:card.kind')}>
            {t(`shared:kind.${point.kind}`)}
            {point.ptz ? ` · ${t('registry:card.ptz')}` : ''}
            {point.division?.name ? ` · ${point.division.name}` : ''}
          </Fact>
          <Fact name={t('registry:card.organisation')}>
            {point.organisation
              ? point.organisation.path.map((node) => node.name).join(' › ')
              : t('shared:none')}
          </Fact>
          <Fact name={t('registry:card.owners')}>
            {t('registry:card.owned', {
              owns: point.owners.owns?.name ?? t('shared:none'),
              maintains: point.owners.maintains?.name ?? t('shared:none'),
              paid: point.owners.paid?.name ?? t('shared:none'),
            })}
            {point.owners.may_see.length > 0
              ? ` · ${t('registry:card.may_see', { who: point.owners.may_see.map(({ name }) => name).join(t('registry:file.comma')) })}`
              : null}
          </Fact>
          {point.device_id ? (
            <Fact name={t('registry:card.device')}>
              <Link to={paths.devices({ tab: 'adopted', q: point.device_id })}>
                <code>{point.device_id}</code>
              </Link>{' '}
              <span className="muted">{point.gateway}</span>
            </Fact>
          ) : null}
          <Fact name={t('registry:card.coordinates')}>
            {at === null ? t('shared:none') : `${coordinates(at[0], at[1])} · WGS-84`}
          </Fact>
          <Fact name={t('registry:card.state')}>
            {t(`shared:state.${state}`)}
            {point.state_since && state === point.state
              ? ` · ${t('registry:card.since', { at: stamp(point.state_since) })}`
              : ''}
          </Fact>
          <Fact name={t('registry:card.evidence')}>
            {evidence.data ? (
              <button
                type="button"
                className="link"
                aria-expanded={open === 'evidence'}
                onClick={() => flip('evidence')}
              >
                {evidence.data.items
                  .filter((item) => BRIEF.includes(item.kind))
                  .map((item) => {
                    const kind = t(`registry:evidence.kind.${item.kind}`)
                    if (item.age_s === null) return `${kind} ${t('registry:evidence.never')}`
                    return `${kind} ${ago(item.age_s + Math.max(0, (now - evidence.dataUpdatedAt) / 1000), t)}`
                  })
                  .join(' · ')}
              </button>
            ) : evidence.error ? (
              <button type="button" className="link" onClick={() => void evidence.refetch()}>
                {t('registry:card.evidence_failed')}
              </button>
            ) : (
              '…'
            )}
          </Fact>
        </dl>
        {history.data ? (
          <StateStrip spans={history.data.spans} hours={HOURS} now={now} onOpen={() => flip('history')} />
        ) : null}
        <div className="card-acts">
          <Act type="primary" to={paths.wall([point.id])} reason={silent ?? (can.view_live ? null : denied)}>
            {t('registry:act.wall')}
          </Act>
          <Act to={paths.playback([point.id])} reason={silent ?? (can.view_playback ? null : denied)}>
            {t('registry:act.playback')}
          </Act>
          <Act
            to={paths.wall([point.id], true)}
            reason={point.ptz ? (can.ptz ? null : denied) : t('registry:act.no_ptz')}
          >
            {t('registry:act.ptz')}
          </Act>
          <Act run={() => onNear(point, NEAR_M)} reason={at === null ? t('registry:card.nowhere') : null}>
            {t('registry:act.near', { metres: NEAR_M })}
          </Act>
          <Act run={() => flip('evidence')} aria-expanded={open === 'evidence'}>
            {t('registry:card.evidence')}
          </Act>
          <Act run={() => flip('history')} aria-expanded={open === 'history'}>
            {t('registry:history.title')}
          </Act>
          <Act
            run={() => flip('plays')}
            aria-expanded={open === 'plays'}
            reason={silent ?? (can.read_trace ? null : denied)}
          >
            {t('media:trace.list')}
          </Act>
          <Act to={paths.file(point.id)}>{t('registry:act.file')}</Act>
          <Act run={() => flip('rights')} aria-expanded={open === 'rights'}>
            {t('governance:rights.title')}
          </Act>
          <Act run={() => setMasking(true)} reason={silent ?? (can.edit_masks ? null : denied)}>
            {t('media:masks.open')}
          </Act>
        </div>
        {masking ? <MaskEditor point={point} onClose={() => setMasking(false)} /> : null}
        <div ref={opened} />
        {open === 'evidence' && evidence.data ? (
          <EvidenceList evidence={evidence.data} readAt={evidence.dataUpdatedAt} />
        ) : null}
        {open === 'history' ? (
          <StateHistory
            subject={{ of: 'points', id: point.id, playback: silent === null && can.view_playback }}
          />
        ) : null}
        {open === 'rights' ? <RightsPanel point={point.id} /> : null}
        {open === 'plays' ? <PlayList point={point.id} name={point.name} /> : null}
      </div>
    </>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}
