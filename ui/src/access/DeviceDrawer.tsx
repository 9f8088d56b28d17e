import { Drawer, Tabs } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { DeviceDetail, Evidence, Id } from '../api/types'
import { useCan } from '../governance/session'
import { EvidenceList } from '../registry/EvidenceList'
import { StateHistory } from '../registry/StateHistory'
import { Act } from '../shared/Act'
import { Copyable } from '../shared/Copyable'
import { Face, Failed, Loading } from '../shared/Face'
import { count, stamp } from '../shared/format'
import { StateMark } from '../shared/StateMark'
import { useAddress } from '../shared/useAddress'
import { useSure } from '../shared/useSure'
import { AdoptForm } from './AdoptForm'
import { ConfigurationPart } from './ConfigurationPart'
import { Messages } from './Messages'
import { OwnPassword } from './OwnPassword'
import { Policies } from './Policies'
import { Channels, DevicePlays } from './Channels'
import { useAskStatus, useDevice, useRefuse, useSync } from './queries'
import { Source } from './Source'
import './access.css'

/** The gateway whose devices talk SIP. */
const SIP_GATEWAY = 'gb28181'
/** The gateway of cameras by address. */
const RTSP_GATEWAY = 'rtsp'

export function DeviceDrawer({ id, onClose }: { id: Id | null; onClose: () => void }) {
  const { t } = useTranslation()
  const device = useDevice(id)
  return (
    <Drawer
      open={id !== null}
      onClose={onClose}
      size={680}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{ header: { padding: '0 16px', height: 48, flex: 'none' }, body: { padding: '8px 16px 16px' } }}
      destroyOnHidden
      title={device.data ? device.data.name || device.data.device_id : t('access:device')}
      extra={device.data ? <StateMark state={device.data.evidence.state} label /> : null}
    >
      {device.data ? (
        <Known key={device.data.id} device={device.data} readAt={device.dataUpdatedAt} />
      ) : device.error ? (
        <Failed error={device.error} retry={() => void device.refetch()} />
      ) : (
        <Loading />
      )}
    </Drawer>
  )
}

function Known({ device, readAt }: { device: DeviceDetail; readAt: number }) {
  const { t } = useTranslation()
  const [search, , put] = useAddress()
  return (
    <Tabs
      className="device-tabs"
      activeKey={search.get('part') ?? (search.get('tab') === 'drift' ? 'configuration' : 'state')}
      onChange={(part) => put({ part })}
      items={[
        { key: 'state', label: t('access:part.state'), children: <State device={device} readAt={readAt} /> },
        {
          key: 'channels',
          label: (
            <>
              {t('access:part.channels')} <span className="figure">{count(device.point_count)}</span>
            </>
          ),
          children: <Channels device={device} />,
        },
        { key: 'plays', label: t('media:trace.list'), children: <DevicePlays device={device.id} /> },
        ...(device.gateway === SIP_GATEWAY
          ? [
              {
                key: 'configuration',
                label: t('access:part.configuration'),
                children: <ConfigurationPart device={device} />,
              },
            ]
          : []),
        {
          key: 'history',
          label: t('registry:history.title'),
          children: <StateHistory subject={{ of: 'devices', id: device.id }} />,
        },
        {
          key: 'messages',
          label: t('access:part.messages'),
          children:
            device.gateway === SIP_GATEWAY ? (
              <Messages device={device.id} />
            ) : (
              <Face kind="empty" text={t('access:message.no_sip', { gateway: device.gateway })} />
            ),
        },
        ...(device.gateway === RTSP_GATEWAY
          ? [{ key: 'source', label: t('access:part.source'), children: <Source device={device} /> }]
          : [
              {
                key: 'policies',
                label: t('access:part.policies'),
                children: (
                  <>
                    <Policies device={device} />
                    {device.gateway === SIP_GATEWAY ? <OwnPassword device={device.id} /> : null}
                  </>
                ),
              },
            ]),
      ]}
    />
  )
}

function State({ device, readAt }: { device: DeviceDetail; readAt: number }) {
  const { t } = useTranslation()
  const can = useCan()
  const [, , put] = useAddress()
  const sync = useSync()
  const ask = useAskStatus(device.id)
  return (
    <>
      <dl className="facts device-facts">
        <dt>{t('access:column.device')}</dt>
        <dd>
          <Copyable text={device.device_id} />
        </dd>
        <dt>{t('access:column.make')}</dt>
        <dd>
          {[device.vendor, device.model, device.version].filter(Boolean).join(' · ') || t('access:unsaid')}
        </dd>
        <dt>{t('access:column.address')}</dt>
        <dd>
          {device.address ? (
            <>
              <Copyable text={device.address} />{' '}
              <span className="muted">{device.transport.toUpperCase()}</span>
            </>
          ) : (
            <span className="muted">{t('access:yet_to_come')}</span>
          )}
        </dd>
        {device.organisation ? (
          <>
            <dt>{t('access:organisation')}</dt>
            <dd>{device.organisation.name}</dd>
          </>
        ) : null}
        <dt>{t('access:column.points')}</dt>
        <dd>
          <button
            type="button"
            className="link device-count"
            title={t('access:channel.open')}
            onClick={() => put({ part: 'channels' })}
          >
            {count(device.point_count)}
          </button>{' '}
          {device.gateway === SIP_GATEWAY && device.status === 'adopted' ? (
            <Act
              size="small"
              loading={sync.isPending}
              reason={can.adopt ? null : t('shared:not_allowed')}
              run={() => sync.mutate(device.id)}
            >
              {t('access:sync')}
            </Act>
          ) : null}
        </dd>
        <dt>{t('access:column.first_seen')}</dt>
        <dd>{stamp(device.first_seen)}</dd>
      </dl>
      <EvidenceList evidence={heardOf(device)} readAt={readAt} />
      {device.gateway === SIP_GATEWAY && device.status === 'adopted' ? (
        <p className="device-ask">
          <Act
            size="small"
            loading={ask.isPending}
            reason={can.adopt ? null : t('shared:not_allowed')}
            run={() => ask.mutate()}
          >
            {t('access:ask_status')}
          </Act>
        </p>
      ) : null}
      <Standing device={device} />
    </>
  )
}

/** The evidence that there can be: only GB/T 28181 has catalogues. */
function heardOf({ gateway, evidence }: DeviceDetail): Evidence {
  if (gateway === SIP_GATEWAY) return evidence
  return { ...evidence, items: evidence.items.filter(({ kind }) => kind !== 'catalogue') }
}

/** Whether it may come at all. */
function Standing({ device }: { device: DeviceDetail }) {
  const { t } = useTranslation()
  const sure = useSure()
  const can = useCan()
  const [asked, setAsked] = useState(false)
  const refuse = useRefuse()
  const denied = can.adopt ? null : t('shared:not_allowed')
  return (
    <div className="row-acts">
      {device.status === 'adopted' ? null : (
        <Act size="small" type="primary" reason={denied} run={() => setAsked(true)}>
          {t('access:adopt_as')}
        </Act>
      )}
      {device.status === 'refused' ? null : (
        <Act
          size="small"
          danger
          reason={denied}
          loading={refuse.isPending}
          run={() =>
            sure({
              title: t('access:refuse_title', { device: device.device_id }),
              text: t('access:refuse_text'),
              ok: t('access:refuse'),
              run: () => refuse.mutate(device.id),
            })
          }
        >
          {t('access:refuse')}
        </Act>
      )}
      {asked ? (
        <AdoptForm device={device} home={device.organisation ?? null} onClose={() => setAsked(false)} />
      ) : null}
    </div>
  )
}
