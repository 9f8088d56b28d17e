import { useQuery } from '@tanstack/react-query'
import { fetched } from '../api/client'
import type { Channel, Device, DeviceDetail, DevicePolicies, Id, RtspSource } from '../api/types'
import { useDo } from '../shared/useDo'
import { usePages } from '../shared/usePages'
import { countsKey } from '../shell/counts'
import { useTranslation } from 'react-i18next'

export function useDevices(status: 'waiting' | 'adopted', q: string) {
  return usePages<Device>('devices', '/devices', { status, q })
}

export function useDevice(id: Id | null) {
  return useQuery({
    queryKey: ['device', id],
    enabled: id !== null,
    refetchInterval: 10_000,
    queryFn: ({ signal }) => fetched<DeviceDetail>('GET', `/devices/${id ?? ''}`, { signal }),
  })
}

const renew = [['devices'], ['device'], countsKey]

export function useAdopt(then?: () => void) {
  const { t } = useTranslation()
  return useDo({
    run: ({ id, organisation, name }: { id: Id; organisation: Id; name?: string | undefined }) =>
      fetched<Device>('POST', `/devices/${id}/adopt`, { json: { organisation, ...(name ? { name } : {}) } }),
    done: t('access:adopted'),
    renew,
    ...(then ? { then } : {}),
  })
}

export function useRefuse() {
  const { t } = useTranslation()
  return useDo({
    run: (id: Id) => fetched<Device>('POST', `/devices/${id}/refuse`),
    done: t('access:refused'),
    renew,
  })
}

/** Asks the device for its catalogue now; points appear as they arrive. */
export function useSync() {
  const { t } = useTranslation()
  return useDo({
    run: (id: Id) => fetched<undefined>('POST', `/devices/${id}/sync`),
    done: t('access:synced'),
  })
}

/** Asks the device how it is; what it answers stands in its evidence then. */
export function useAskStatus(id: Id) {
  const { t } = useTranslation()
  return useDo({
    run: () => fetched<undefined>('POST', `/devices/${id}/status`),
    done: t('access:status_asked'),
    renew: [['device', id]],
  })
}

export const useChannels = (id: Id) => usePages<Channel>('channels', `/devices/${id}/channels`)

export function useSetPolicies(id: Id) {
  const { t } = useTranslation()
  return useDo({
    run: (policies: Partial<DevicePolicies>) =>
      fetched<DevicePolicies>('PATCH', `/devices/${id}/policies`, { json: policies }),
    done: t('access:policy.saved'),
    renew: [['device', id]],
  })
}

interface Expected {
  device_id: string
  name: string
  organisation: Id
  password?: string
}

/** Announces a GB/T 28181 device, which is let in when it registers. */
export function useExpect(then: (id: Id) => void) {
  const { t } = useTranslation()
  return useDo({
    run: (wanted: Expected) => fetched<{ device: Id }>('POST', '/devices', { json: wanted }),
    done: t('access:add.expected'),
    renew,
    then: ({ device }) => then(device),
  })
}

type Wanted = Omit<RtspSource, 'device' | 'has_password'> & {
  name: string
  organisation: Id
  password: string
}

export function useAddSource(then: (id: Id) => void) {
  const { t } = useTranslation()
  return useDo({
    run: (wanted: Wanted) => fetched<{ device: Id }>('POST', '/rtsp-sources', { json: wanted }),
    done: t('access:add.connected'),
    renew,
    then: ({ device }) => then(device),
  })
}

export function useSource(code: string, enabled: boolean) {
  return useQuery({
    queryKey: ['rtsp-source', code],
    enabled,
    queryFn: ({ signal }) =>
      fetched<RtspSource>('GET', `/rtsp-sources/${encodeURIComponent(code)}`, { signal }),
  })
}

export function useChangeSource(code: string) {
  const { t } = useTranslation()
  return useDo({
    run: (changes: Partial<RtspSource> & { password?: string }) =>
      fetched<RtspSource>('PATCH', `/rtsp-sources/${encodeURIComponent(code)}`, { json: changes }),
    done: t('access:source.saved'),
    renew: [['rtsp-source', code]],
  })
}

export function useRemoveSource(code: string) {
  const { t } = useTranslation()
  return useDo({
    run: () => fetched<undefined>('DELETE', `/rtsp-sources/${encodeURIComponent(code)}`),
    done: t('access:source.removed'),
    renew: [...renew, ['rtsp-source', code]],
  })
}

export function useOwnPassword(id: Id, enabled: boolean) {
  return useQuery({
    queryKey: ['device', id, 'password'],
    enabled,
    queryFn: ({ signal }) => fetched<{ own: boolean }>('GET', `/devices/${id}/password`, { signal }),
  })
}

/** A password of the device's own, or null: back to the domain's. */
export function useSetOwnPassword(id: Id) {
  const { t } = useTranslation()
  return useDo({
    run: (password: string | null) =>
      password === null
        ? fetched<{ own: boolean }>('DELETE', `/devices/${id}/password`)
        : fetched<{ own: boolean }>('PUT', `/devices/${id}/password`, { json: { password } }),
    done: t('access:own.saved'),
    renew: [['device', id, 'password']],
  })
}
