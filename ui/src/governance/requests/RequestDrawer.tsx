import { useQuery } from '@tanstack/react-query'
import { Button, Drawer } from 'antd'
import { Fragment, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../../api/client'
import type { Asker, Brought, Id } from '../../api/types'
import { paths } from '../../app/paths'
import { PointName } from '../../media/PointName'
import { Failed, Loading } from '../../shared/Face'
import { rangeText, stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { RequestActs } from './RequestActs'
import { RequestClock } from './RequestsList'

/** All of one request or complaint, and what can be done next. */
export function RequestDrawer({ id, onClose }: { id: Id | null; onClose: () => void }) {
  const { t } = useTranslation()
  const found = useQuery({
    queryKey: ['requests', id],
    enabled: id !== null,
    queryFn: ({ signal }) => fetched<Brought>('GET', `/requests/${id ?? ''}`, { signal }),
  })
  return (
    <Drawer
      open={id !== null}
      onClose={onClose}
      size={520}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{ wrapper: { maxWidth: '100%' } }}
      destroyOnHidden
      title={found.data ? t('governance:request.one', { number: found.data.number }) : ''}
      extra={found.data ? <RequestClock one={found.data} /> : null}
      footer={found.data ? <RequestActs key={found.data.id} one={found.data} /> : null}
    >
      {found.data ? (
        <Fields key={found.data.id} one={found.data} />
      ) : found.error ? (
        <Failed error={found.error} retry={() => void found.refetch()} />
      ) : (
        <Loading />
      )}
    </Drawer>
  )
}

function Fields({ one }: { one: Brought }) {
  const { t } = useTranslation()
  const none = t('shared:none')
  const rows: [key: string, value: ReactNode][] = [
    ['kind_label', t(`governance:request.kind.${one.kind}`)],
    ['state_label', t(`governance:request.state.${one.state}`)],
    ['due', one.due_on],
    ['received_on', `${one.received_on} · ${t(`governance:request.channel.${one.channel}`)}`],
    ['unit', one.organisation.name],
    ['handler', one.handler],
    ['asker', <WhoAsks key="asker" one={one} />],
    ['what', one.what],
    ['place', one.place || none],
    ['happened', one.start && one.end ? rangeText(one.start, one.end) : none],
  ]
  if (one.ground) rows.splice(8, 0, ['ground_label', t(`governance:request.ground.${one.ground}`)])
  if (one.identity)
    rows.push(['identity', t('governance:request.identified', { how: one.identity, who: one.identified_by })])
  if (one.places.length > 0)
    rows.push([
      'points',
      <ul key="points" className="request-places">
        {one.places.map(({ point, start, end }) => (
          <li key={`${point}${start}`}>
            <Link to={paths.playback([point], start, { start, end })}>
              <PointName id={point} />
            </Link>{' '}
            {rangeText(start, end)}
          </li>
        ))}
      </ul>,
    ])
  if (one.export)
    rows.push(
      [
        'export',
        <Link key="export" to={paths.system({ tab: 'exports' })}>
          <code>{one.export}</code>
        </Link>,
      ],
      ['how', t('governance:request.proposed', { how: one.how, who: one.proposed_by })],
    )
  if (one.decided_by) rows.push(['decided_by', one.decided_by])
  if (one.reason) rows.push(['refuse_reason', t(`governance:request.reason.${one.reason}`)])
  if (one.answer) rows.push(['text', one.answer])
  if (one.closed_at) rows.push(['closed_at', stamp(one.closed_at)])
  return (
    <dl className="reason-facts">
      {rows.map(([key, value]) => (
        <Fragment key={key}>
          <dt>{t(`governance:request.${key}`)}</dt>
          <dd>{value}</dd>
        </Fragment>
      ))}
    </dl>
  )
}

/** Name and contact, for the handler and only when asked for: the ledger says so each time. */
function WhoAsks({ one }: { one: Brought }) {
  const { t } = useTranslation()
  const asked = useDo({ run: () => fetched<Asker>('GET', `/requests/${one.id}/asker`) })
  if (!one.has_asker) return <span className="muted">{t('governance:request.no_asker')}</span>
  if (!one.mine)
    return <span className="muted">{t('governance:request.handler_is', { who: one.handler })}</span>
  if (asked.data)
    return (
      <span>
        <b>{asked.data.name}</b> · {asked.data.contact}
        <br />
        <small className="muted">{t('governance:request.shown')}</small>
      </span>
    )
  return (
    <Button size="small" loading={asked.isPending} onClick={() => asked.mutate(undefined)}>
      {t('governance:request.show_asker')}
    </Button>
  )
}
