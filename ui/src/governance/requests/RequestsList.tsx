import { Segmented, Select } from 'antd'
import { useMemo, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { Brought } from '../../api/types'
import { Act } from '../../shared/Act'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { Two } from '../duties/Two'
import { useCan } from '../session'
import { RequestDrawer } from './RequestDrawer'
import { RequestForm } from './RequestForm'
import { clockOf, pressOf } from './requests'

/** The register of requests to see recordings, and of complaints; what is due first stands first. */
export function RequestsList({ children }: { children: ReactNode }) {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const overdue = search.get('overdue') !== null
  const kind = search.get('kind')
  const list = usePages<Brought>('requests', '/requests', { overdue: overdue ? true : null, kind })
  const [adding, setAdding] = useState(false)
  const columns = useMemo<Column<Brought>[]>(
    () => [
      {
        key: 'clock',
        title: t('governance:request.due'),
        width: '170px',
        render: (one) => (
          <Two
            first={<RequestClock one={one} />}
            second={one.days_left === null ? '' : t('governance:request.due_on', { day: one.due_on })}
          />
        ),
      },
      {
        key: 'number',
        title: t('governance:request.number'),
        width: '190px',
        render: ({ number, kind }) => (
          <Two first={<b className="mono">{number}</b>} second={t(`governance:request.kind.${kind}`)} />
        ),
      },
      {
        key: 'state',
        title: t('governance:request.state_label'),
        width: '130px',
        render: ({ state }) => t(`governance:request.state.${state}`),
      },
      {
        key: 'what',
        title: t('governance:request.what'),
        width: 'minmax(200px, 2fr)',
        render: ({ what, place }) => (
          <Two first={<span title={what}>{what}</span>} second={<span title={place}>{place}</span>} />
        ),
      },
      {
        key: 'unit',
        title: t('governance:request.unit'),
        width: 'minmax(140px, 1fr)',
        render: ({ organisation, handler }) => (
          <Two first={<span title={organisation.name}>{organisation.name}</span>} second={handler} />
        ),
      },
      {
        key: 'received',
        title: t('governance:request.received_on'),
        width: '130px',
        render: ({ received_on, channel }) => (
          <Two first={received_on} second={t(`governance:request.channel.${channel}`)} />
        ),
      },
    ],
    [t],
  )
  if (!can.read_requests)
    return (
      <>
        <div className="page-bar">{children}</div>
        <Face kind="forbidden" text={t('shared:not_allowed')} detail={t('shared:face.ask_admin')} />
      </>
    )
  return (
    <>
      <ListPage
        list={list}
        label={t('governance:request.title')}
        columns={columns}
        rowKey={({ id }) => id}
        rowHeight={56}
        onOpen={({ id }) => put({ open: id })}
        selected={search.get('open')}
        empty={
          overdue ? (
            <Face kind="empty" text={t('governance:request.none_overdue')} />
          ) : (
            <Face
              kind="empty"
              text={t('governance:request.none')}
              detail={t('governance:request.none_how')}
            />
          )
        }
      >
        {children}
        <Segmented<'all' | 'overdue'>
          value={overdue ? 'overdue' : 'all'}
          aria-label={t('governance:request.which')}
          onChange={(which) => put({ overdue: which === 'overdue' ? '1' : null })}
          options={[
            { value: 'all', label: t('governance:request.all') },
            { value: 'overdue', label: t('governance:request.only_overdue') },
          ]}
        />
        <Select<string>
          value={kind ?? ''}
          aria-label={t('governance:request.kind_label')}
          popupMatchSelectWidth={false}
          onChange={(next) => put({ kind: next === '' ? null : next })}
          options={[
            { value: '', label: t('governance:request.all_kinds') },
            ...['request', 'complaint'].map((value) => ({
              value,
              label: t(`governance:request.kind.${value}`),
            })),
          ]}
        />
        <Act
          type="primary"
          reason={can.handle_requests ? null : t('shared:not_allowed')}
          run={() => setAdding(true)}
        >
          {t('governance:request.add')}
        </Act>
      </ListPage>
      <RequestDrawer id={search.get('open')} onClose={() => put({ open: null })} />
      {adding ? (
        <RequestForm
          onClose={(made) => {
            setAdding(false)
            if (made) put({ open: made.id })
          }}
        />
      ) : null}
    </>
  )
}

/** How much time is left, in colour, shape and words. */
export function RequestClock({ one }: { one: Brought }) {
  const { t } = useTranslation()
  const [key, n] = clockOf(one)
  return (
    <span className={`duty-clock duty-${pressOf(one)}`}>{t(`governance:request.clock.${key}`, { n })}</span>
  )
}
