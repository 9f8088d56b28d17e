import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import type { Device, Id } from '../api/types'
import { paths } from '../app/paths'
import type { Column } from '../shared/DataTable'
import { Face } from '../shared/Face'
import { ago, count, stamp } from '../shared/format'
import { ListPage } from '../shared/ListPage'
import { StateMark } from '../shared/StateMark'
import { useNow } from '../shared/useNow'
import { useDevices } from './queries'

export function AdoptedList({
  q,
  chosen,
  onOpen,
}: {
  q: string
  chosen: Id | null
  onOpen: (id: Id, part?: string) => void
}) {
  const { t } = useTranslation()
  const devices = useDevices('adopted', q)
  const now = useNow(10_000)
  const columns = useMemo<Column<Device>[]>(
    () => [
      {
        key: 'state',
        title: t('access:column.state'),
        width: '90px',
        render: (device) => <StateMark state={device.state} label />,
      },
      {
        key: 'name',
        title: t('access:column.name'),
        width: 'minmax(140px, 1.2fr)',
        render: (device) => device.name,
      },
      {
        key: 'device',
        title: t('access:column.device'),
        width: 'minmax(190px, 1fr)',
        render: (device) => <code>{device.device_id}</code>,
      },
      {
        key: 'make',
        title: t('access:column.make'),
        width: 'minmax(140px, 1fr)',
        render: (device) => [device.vendor, device.model].filter(Boolean).join(' '),
      },
      {
        key: 'address',
        title: t('access:column.address'),
        width: 'minmax(170px, 1fr)',
        render: (device) => (
          <>
            <code>{device.address}</code> <span className="muted">{device.transport.toUpperCase()}</span>
          </>
        ),
      },
      {
        key: 'gateway',
        title: t('access:column.gateway'),
        width: '90px',
        render: (device) => device.gateway,
      },
      {
        key: 'points',
        title: t('access:column.points'),
        width: '80px',
        align: 'end',
        render: (device) => (
          <button
            type="button"
            className="link device-count"
            title={t('access:channel.open')}
            onClick={(event) => {
              event.stopPropagation()
              onOpen(device.id, 'channels')
            }}
          >
            {count(device.point_count)}
          </button>
        ),
      },
      {
        key: 'seen',
        title: t('access:column.last_seen'),
        width: '120px',
        render: (device) =>
          device.last_seen === null ? (
            <span className="muted">{t('registry:evidence.never')}</span>
          ) : (
            <span title={stamp(device.last_seen)}>{ago((now - Date.parse(device.last_seen)) / 1000, t)}</span>
          ),
      },
    ],
    [t, now, onOpen],
  )
  return (
    <ListPage
      list={devices}
      label={t('access:tab.adopted')}
      columns={columns}
      rowKey={(device) => device.id}
      selected={chosen}
      onOpen={(device) => onOpen(device.id)}
      empty={
        <Face
          kind="empty"
          text={q ? t('access:none_found', { q }) : t('access:none_adopted')}
          action={q ? null : <Link to={paths.devices({ tab: 'waiting' })}>{t('access:to_waiting')}</Link>}
        />
      }
    />
  )
}
