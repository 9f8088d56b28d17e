import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, InputNumber, Tooltip } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched, request } from '../../api/client'
import type { CruiseOrder, Cruises, HomePosition, Id, PtzCommand } from '../../api/types'
import { said } from '../../said/said'

interface HeadMoreProps {
  point: Id
  /** Sends an order to `/ptz`; shows a refusal itself. */
  send: (command: PtzCommand) => Promise<boolean>
  onRefused: (why: string | null) => void
}

/** Cruises, the home position and the switches of a head, as far as its device has them. */
export function HeadMore({ point, send, onRefused }: HeadMoreProps) {
  const { t } = useTranslation()
  const client = useQueryClient()
  const [track, setTrack] = useState(1)
  const [preset, setPreset] = useState(1)
  const [idle, setIdle] = useState(60)
  const cruises = useQuery({
    queryKey: ['cruises', point],
    retry: false,
    queryFn: ({ signal }) => fetched<Cruises>('GET', `/points/${point}/ptz/cruise`, { signal }),
  })
  const home = useQuery({
    queryKey: ['home', point],
    retry: false,
    queryFn: ({ signal }) => fetched<HomePosition>('GET', `/points/${point}/ptz/home`, { signal }),
  })
  const order = async (json: CruiseOrder) => {
    const outcome = await request<undefined>('POST', `/points/${point}/ptz/cruise`, { json })
    if (outcome.kind === 'error') onRefused(said(outcome.error.reason))
    else onRefused(null)
    if (json.act === 'add' || json.act === 'clear')
      void client.invalidateQueries({ queryKey: ['cruises', point] })
  }
  const setHome = (command: PtzCommand) =>
    void send(command).then((done) => {
      if (done) void client.invalidateQueries({ queryKey: ['home', point] })
    })
  const known = home.data
  return (
    <>
      <h4>{t('media:ptz.cruises')}</h4>
      <ul className="ptz-presets">
        {(cruises.data?.items ?? []).map((one) => (
          <li key={one.track}>
            <Tooltip title={one.stops.map((stop) => stop.preset).join(' → ')}>
              <button type="button" onClick={() => void order({ act: 'start', track: one.track })}>
                <kbd>{one.track}</kbd> {one.name || t('media:ptz.cruise_n', { n: one.track })}
              </button>
            </Tooltip>
          </li>
        ))}
        {cruises.data && !cruises.data.listed ? (
          <li className="muted">{t('media:ptz.cruises_unlisted')}</li>
        ) : null}
        {cruises.data?.listed && cruises.data.items.length === 0 ? (
          <li className="muted">{t('media:ptz.no_cruises')}</li>
        ) : null}
      </ul>
      <div className="ptz-save">
        <InputNumber
          size="small"
          min={0}
          max={255}
          value={track}
          onChange={(value) => setTrack(value ?? 0)}
          aria-label={t('media:ptz.cruise_number')}
        />
        <Button size="small" onClick={() => void order({ act: 'start', track })}>
          {t('media:ptz.cruise_start')}
        </Button>
        <Button size="small" onClick={() => void order({ act: 'stop', track })}>
          {t('media:ptz.cruise_stop')}
        </Button>
      </div>
      <div className="ptz-save">
        <InputNumber
          size="small"
          min={1}
          max={255}
          value={preset}
          onChange={(value) => setPreset(value ?? 1)}
          aria-label={t('media:ptz.preset_number')}
        />
        <Tooltip title={t('media:ptz.cruise_add_hint', { preset, track })}>
          <Button size="small" onClick={() => void order({ act: 'add', track, preset })}>
            {t('media:ptz.cruise_add')}
          </Button>
        </Tooltip>
        <Tooltip title={t('media:ptz.cruise_clear_hint', { track })}>
          <Button size="small" onClick={() => void order({ act: 'clear', track })}>
            {t('media:ptz.cruise_clear')}
          </Button>
        </Tooltip>
      </div>
      <h4>{t('media:ptz.home')}</h4>
      <p className="ptz-home">
        {known === undefined
          ? ''
          : !known.known
            ? t('media:ptz.home_unknown')
            : known.is_on
              ? t('media:ptz.home_is', { preset: known.preset ?? '–', seconds: known.reset_s ?? '–' })
              : t('media:ptz.home_none')}
      </p>
      <div className="ptz-save">
        <InputNumber
          size="small"
          min={5}
          max={3600}
          value={idle}
          suffix="s"
          onChange={(value) => setIdle(value ?? 60)}
          aria-label={t('media:ptz.home_idle')}
        />
        <Tooltip title={t('media:ptz.home_hint', { preset, seconds: idle })}>
          <Button size="small" onClick={() => setHome({ act: 'home_on', preset, value: idle })}>
            {t('media:ptz.home_set')}
          </Button>
        </Tooltip>
        <Button size="small" onClick={() => setHome({ act: 'home_off' })}>
          {t('media:ptz.home_off')}
        </Button>
      </div>
      <div className="ptz-save">
        <Button size="small" onClick={() => void send({ act: 'switch_on', value: 1 })}>
          {t('media:ptz.wiper_on')}
        </Button>
        <Button size="small" onClick={() => void send({ act: 'switch_off', value: 1 })}>
          {t('media:ptz.wiper_off')}
        </Button>
      </div>
    </>
  )
}
