import { App, Select } from 'antd'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { ApiError } from '../api/client'
import type { Channel, DeviceDetail, Id, PointState } from '../api/types'
import { paths } from '../app/paths'
import { useReasons } from '../governance/reasons/useReasons'
import { useCan } from '../governance/session'
import { PlayList } from '../media/PlayList'
import { saveSnapshot } from '../media/tile/download'
import { useLiveState } from '../registry/liveState'
import { said } from '../said/said'
import { Act } from '../shared/Act'
import { Face, Failed, Loading } from '../shared/Face'
import { StateMark } from '../shared/StateMark'
import { useChannels } from './queries'

/** What a device lists: the state of each, and the point that it became. */
export function Channels({ device }: { device: DeviceDetail }) {
  const { t } = useTranslation()
  const channels = useChannels(device.id)
  if (channels.error) return <Failed error={channels.error} retry={() => void channels.refetch()} />
  if (channels.isPending) return <Loading />
  if (channels.rows.length === 0)
    return <Face kind="empty" text={t('access:channel.none')} detail={t('access:channel.none_hint')} />
  return (
    <section aria-label={t('access:part.channels')}>
      <table className="channels">
        <thead>
          <tr>
            <th scope="col">{t('access:column.state')}</th>
            <th scope="col">{t('access:column.name')}</th>
            <th scope="col">{t('access:channel.says')}</th>
            <th scope="col" className="visually-hidden">
              {t('access:channel.acts')}
            </th>
          </tr>
        </thead>
        <tbody>
          {channels.rows.map((one) => (
            <Line key={one.channel_id} channel={one} />
          ))}
        </tbody>
      </table>
      {channels.hasNextPage ? (
        <Act size="small" loading={channels.isFetchingNextPage} run={channels.onEnd}>
          {t('access:channel.more')}
        </Act>
      ) : null}
    </section>
  )
}

function Line({ channel }: { channel: Channel }) {
  const { t } = useTranslation()
  const says = channel.is_on === null ? 'nothing' : channel.is_on ? 'on' : 'off'
  return (
    <tr>
      <td>{channel.point ? <Live point={channel.point} recorded={channel.state ?? 'unknown'} /> : null}</td>
      <td>
        <span>{channel.name || t('access:unsaid')}</span>
        <code className="muted">{channel.channel_id}</code>
      </td>
      <td>
        {channel.missed > 0
          ? t('access:channel.missed', { count: channel.missed })
          : t(`access:channel.said.${channel.leaf ? says : 'group'}`)}
      </td>
      <td>{channel.point ? <PointActs point={channel.point} name={channel.name} /> : null}</td>
    </tr>
  )
}

function Live({ point, recorded }: { point: Id; recorded: PointState }) {
  return <StateMark state={useLiveState(point, recorded)} label />
}

function PointActs({ point, name }: { point: Id; name: string }) {
  const { t } = useTranslation()
  const can = useCan()
  const reasons = useReasons()
  const { message } = App.useApp()
  const [taking, setTaking] = useState(false)
  const take = () => {
    setTaking(true)
    reasons
      .insist(() => saveSnapshot(point, name, 'device'), null)
      .then(
        (file) => file !== null && void message.success(t('media:tile.saved', { file })),
        (error: unknown) => {
          const reason = error instanceof ApiError ? said(error.reason) : String(error)
          void message.error(t('media:tile.not_saved', { reason }), 6)
        },
      )
      .finally(() => setTaking(false))
  }
  return (
    <span className="row-acts">
      <Link to={paths.file(point)}>{t('registry:act.file')}</Link>
      <Link to={paths.map({ point })}>{t('registry:file.on_map')}</Link>
      <Act
        size="small"
        title={t('access:channel.snapshot_hint')}
        loading={taking}
        reason={can.snapshot ? null : t('shared:not_allowed')}
        run={take}
      >
        {t('access:channel.snapshot')}
      </Act>
    </span>
  )
}

/** What was asked of a device's cameras lately and what came of it. */
export function DevicePlays({ device }: { device: Id }) {
  const { t } = useTranslation()
  const can = useCan()
  const channels = useChannels(device)
  const [wanted, setWanted] = useState<Id | null>(null)
  const cameras = useMemo(
    () => channels.rows.flatMap(({ point, name }) => (point ? [{ value: point, label: name }] : [])),
    [channels.rows],
  )
  if (!can.read_trace) return <Face kind="forbidden" text={t('shared:not_allowed')} />
  if (channels.error) return <Failed error={channels.error} retry={() => void channels.refetch()} />
  if (channels.isPending) return <Loading />
  const chosen = cameras.find(({ value }) => value === wanted) ?? cameras[0]
  if (!chosen) return <Face kind="empty" text={t('access:channel.none')} />
  return (
    <>
      {cameras.length > 1 ? (
        <Select
          showSearch={{ optionFilterProp: 'label' }}
          style={{ width: '100%', marginBottom: 8 }}
          aria-label={t('access:channel.which')}
          value={chosen.value}
          options={cameras}
          onChange={setWanted}
        />
      ) : null}
      <PlayList key={chosen.value} point={chosen.value} name={chosen.label} />
    </>
  )
}
