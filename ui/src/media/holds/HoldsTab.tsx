import { WarningOutlined } from '@ant-design/icons'
import { Segmented, Tag } from 'antd'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../../api/client'
import type { Kept } from '../../api/types'
import { paths } from '../../app/paths'
import { useCan } from '../../governance/session'
import { Act } from '../../shared/Act'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { FormDialog } from '../../shared/FormDialog'
import { rangeText, stamp } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { useDo } from '../../shared/useDo'
import { useNow } from '../../shared/useNow'
import { usePages } from '../../shared/usePages'
import { PointName } from '../PointName'
import { ReasonField } from './ReasonField'
import './holds.css'

/** What retention must leave alone, whose that is, why, and when somebody must look at it again. */
export function HoldsTab() {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const point = search.get('point')
  const overdue = search.get('overdue') !== null
  const holds = usePages<Kept>('holds', '/holds', { point, overdue: overdue ? true : null })
  const now = useNow(60_000)
  const [released, setReleased] = useState<Kept | null>(null)
  const denied = can.hold ? null : t('shared:not_allowed')
  const unseen = can.view_playback ? null : t('shared:not_allowed')
  const columns = useMemo<Column<Kept>[]>(
    () => [
      {
        key: 'point',
        title: t('media:hold.point'),
        width: 'minmax(150px, 1.5fr)',
        render: ({ point, start, end }) =>
          unseen === null && point.name !== '' ? (
            <Link title={point.name} to={paths.playback([point.id], start, { start, end })}>
              {point.name}
            </Link>
          ) : (
            <span title={unseen ?? point.id}>{point.name || point.id}</span>
          ),
      },
      {
        key: 'range',
        title: t('media:hold.range'),
        width: 'minmax(250px, 1fr)',
        render: ({ start, end }) => <span title={rangeText(start, end)}>{rangeText(start, end)}</span>,
      },
      {
        key: 'reason',
        title: t('media:hold.reason'),
        width: 'minmax(150px, 2fr)',
        render: ({ reason }) => <span title={reason}>{reason}</span>,
      },
      {
        key: 'owner',
        title: t('media:hold.owner'),
        width: 'minmax(100px, 0.7fr)',
        render: ({ owner }) => owner.name,
      },
      {
        key: 'placed',
        title: t('media:hold.placed'),
        width: '150px',
        render: (hold) => <span title={stamp(hold.created_at)}>{stamp(hold.created_at).slice(0, 16)}</span>,
      },
      {
        key: 'review',
        title: t('media:hold.review'),
        width: '190px',
        render: ({ review_at: at }) =>
          Date.parse(at) <= now ? (
            <span className="hold-overdue">
              <WarningOutlined /> {stamp(at).slice(0, 10)} {t('media:hold.overdue')}
            </span>
          ) : (
            stamp(at).slice(0, 10)
          ),
      },
      {
        key: 'acts',
        title: <span className="visually-hidden">{t('media:hold.acts')}</span>,
        width: '110px',
        align: 'end',
        render: (hold) => (
          <span className="row-acts">
            <Act size="small" reason={denied} run={() => setReleased(hold)}>
              {t('media:hold.release')}
            </Act>
          </span>
        ),
      },
    ],
    [t, denied, unseen, now],
  )
  return (
    <>
      <ListPage
        list={holds}
        label={t('media:hold.title')}
        columns={columns}
        rowKey={(hold) => hold.id}
        rowHeight={40}
        empty={
          overdue ? (
            <Face kind="empty" text={t('media:hold.none_overdue')} />
          ) : (
            <Face kind="empty" text={t('media:hold.none')} detail={t('media:hold.none_how')} />
          )
        }
      >
        <Segmented<'all' | 'overdue'>
          value={overdue ? 'overdue' : 'all'}
          aria-label={t('media:hold.which')}
          onChange={(which) => put({ overdue: which === 'overdue' ? '1' : null })}
          options={[
            { value: 'all', label: t('media:hold.all') },
            { value: 'overdue', label: t('media:hold.only_overdue') },
          ]}
        />
        {point === null ? null : (
          <Tag closable onClose={() => put({ point: null })}>
            {t('media:hold.only_of')} <PointName id={point} />
          </Tag>
        )}
      </ListPage>
      {released ? <ReleaseForm hold={released} onClose={() => setReleased(null)} /> : null}
    </>
  )
}

function ReleaseForm({ hold, onClose }: { hold: Kept; onClose: () => void }) {
  const { t } = useTranslation()
  const release = useDo({
    run: ({ reason }: { reason: string }) =>
      fetched<undefined>('POST', `/holds/${hold.id}/release`, { json: { reason: reason.trim() } }),
    done: t('media:hold.released'),
    renew: [['holds'], ['timeline']],
    then: onClose,
  })
  return (
    <FormDialog<{ reason: string }>
      title={t('media:hold.release_title')}
      okText={t('media:hold.release')}
      danger
      isSaving={release.isPending}
      onClose={onClose}
      onFinish={(fields) => release.mutate(fields)}
    >
      <p className="hold-what">
        <b>{hold.point.name || hold.point.id}</b>
        <span>{rangeText(hold.start, hold.end)}</span>
        <span>{hold.reason}</span>
      </p>
      <p className="muted hold-why">{t('media:hold.release_text')}</p>
      <ReasonField label={t('media:hold.release_why')} />
    </FormDialog>
  )
}
