import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Device, Id } from '../api/types'
import { useCan, useSession } from '../governance/session'
import { Act } from '../shared/Act'
import type { Column } from '../shared/DataTable'
import { Face } from '../shared/Face'
import { ago, count, stamp } from '../shared/format'
import { ListPage } from '../shared/ListPage'
import { useNow } from '../shared/useNow'
import { useSure } from '../shared/useSure'
import { AdoptForm } from './AdoptForm'
import { useAdopt, useDevices, useRefuse } from './queries'

interface ListProps {
  q: string
  chosen: Id | null
  onOpen: (id: Id) => void
}

/** Devices that registered and wait for a person's yes. */
export function WaitingList({ q, chosen, onOpen }: ListProps) {
  const { t } = useTranslation()
  const sure = useSure()
  const can = useCan()
  const home = useSession().data?.user.organisation
  const devices = useDevices('waiting', q)
  const now = useNow(10_000)
  const [asked, setAsked] = useState<Device | null>(null)
  const { mutate: adopt } = useAdopt()
  const { mutate: refuse } = useRefuse()
  const denied = can.adopt ? null : t('shared:not_allowed')
  const columns = useMemo<Column<Device>[]>(
    () => [
      {
        key: 'device',
        title: t('access:column.device'),
        width: 'minmax(190px, 1.2fr)',
        render: (device) => <code>{device.device_id}</code>,
      },
      {
        key: 'make',
        title: t('access:column.make'),
        width: 'minmax(150px, 1fr)',
        render: (device) =>
          [device.vendor, device.model].filter(Boolean).join(' ') || (
            <span className="muted">{t('access:unsaid')}</span>
          ),
      },
      {
        key: 'address',
        title: t('access:column.address'),
        width: 'minmax(160px, 1fr)',
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
        width: '72px',
        align: 'end',
        render: (device) => count(device.point_count),
      },
      {
        key: 'since',
        title: t('access:column.first_seen'),
        width: '120px',
        render: (device) => (
          <span title={stamp(device.first_seen)}>{ago((now - Date.parse(device.first_seen)) / 1000, t)}</span>
        ),
      },
      {
        key: 'acts',
        title: <span className="visually-hidden">{t('access:column.acts')}</span>,
        width: '230px',
        align: 'end',
        render: (device) => (
          <span className="row-acts" onClick={(event) => event.stopPropagation()}>
            <Act
              size="small"
              type="primary"
              reason={denied}
              title={home ? t('access:adopt_into', { organisation: home.name }) : ''}
              run={() => home && adopt({ id: device.id, organisation: home.id })}
            >
              {t('access:adopt')}
            </Act>
            <Act size="small" reason={denied} run={() => setAsked(device)}>
              {t('access:adopt_as')}
            </Act>
            <Act
              size="small"
              reason={denied}
              run={() =>
                sure({
                  title: t('access:refuse_title', { device: device.device_id }),
                  text: t('access:refuse_text'),
                  ok: t('access:refuse'),
                  run: () => refuse(device.id),
                })
              }
            >
              {t('access:refuse')}
            </Act>
          </span>
        ),
      },
    ],
    [t, now, denied, home, adopt, refuse, sure],
  )
  return (
    <>
      <ListPage
        list={devices}
        label={t('access:tab.waiting')}
        columns={columns}
        rowKey={(device) => device.id}
        selected={chosen}
        onOpen={(device) => onOpen(device.id)}
        rowHeight={40}
        empty={
          <Face
            kind="empty"
            text={q ? t('access:none_found', { q }) : t('access:none_waiting')}
            detail={q ? null : t('access:none_waiting_hint')}
          />
        }
      >
        <p>{home ? t('access:waiting_lead', { organisation: home.name }) : null}</p>
      </ListPage>
      {asked ? <AdoptForm device={asked} home={home ?? null} onClose={() => setAsked(null)} /> : null}
    </>
  )
}
