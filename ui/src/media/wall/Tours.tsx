import {
  CaretRightOutlined,
  CloseOutlined,
  PauseOutlined,
  StepBackwardOutlined,
  StepForwardOutlined,
} from '@ant-design/icons'
import { Button, Checkbox, Input, InputNumber, Select } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Layout, Tour } from '../../api/types'
import { useDo } from '../../shared/useDo'
import type { Touring } from './tour'

const DWELLS = [5, 10, 15, 30, 60]

/** The tour that runs, over the wall: where it is, and what one may do. */
export function TourBar({
  touring,
  onGo,
  onPause,
  onResume,
  onStop,
}: {
  touring: Touring
  onGo: (by: number) => void
  onPause: () => void
  onResume: () => void
  onStop: () => void
}) {
  const { t } = useTranslation()
  const { name, at, amount, layout, secondsLeft, paused } = touring
  return (
    <div className="tour-bar" role="group" aria-label={t('media:tour.running', { name })}>
      <b>{name}</b>
      <span>
        {at + 1}/{amount} · {layout}
      </span>
      <Button
        size="small"
        icon={<StepBackwardOutlined />}
        aria-label={t('media:tour.previous')}
        title={`${t('media:tour.previous')} (PageUp)`}
        onClick={() => onGo(-1)}
      />
      <Button
        size="small"
        type={paused ? 'primary' : 'default'}
        icon={paused ? <CaretRightOutlined /> : <PauseOutlined />}
        aria-label={paused ? t('media:tour.resume') : t('media:tour.pause')}
        title={`${paused ? t('media:tour.resume') : t('media:tour.pause')} (Space)`}
        onClick={paused ? onResume : onPause}
      />
      <Button
        size="small"
        icon={<StepForwardOutlined />}
        aria-label={t('media:tour.next')}
        title={`${t('media:tour.next')} (PageDown)`}
        onClick={() => onGo(1)}
      />
      <span className="tour-left">
        {paused ? t('media:tour.paused') : t('media:tour.left', { n: secondsLeft })}
      </span>
      <Button
        size="small"
        type="text"
        icon={<CloseOutlined />}
        aria-label={t('media:tour.stop')}
        onClick={onStop}
      />
    </div>
  )
}

/** Putting a tour together from saved layouts, in the order they are chosen. */
export function TourForm({
  tour,
  layouts,
  onDone,
}: {
  tour: Tour | null
  layouts: readonly Layout[]
  onDone: () => void
}) {
  const { t } = useTranslation()
  const [name, setName] = useState(tour?.name ?? '')
  const [chosen, setChosen] = useState<string[]>(
    tour?.steps.map((step) => step.layout).filter((id) => layouts.some((one) => one.id === id)) ?? [],
  )
  const [seconds, setSeconds] = useState(tour?.steps[0]?.seconds ?? 15)
  const [shared, setShared] = useState(tour?.shared ?? false)
  const save = useDo({
    run: () =>
      fetched<Tour>('PUT', tour ? `/tours/${tour.id}` : '/tours', {
        json: { name: name.trim(), steps: chosen.map((layout) => ({ layout, seconds })), shared },
      }),
    done: t('media:tour.saved'),
    renew: [['tours']],
    then: onDone,
  })
  return (
    <form
      className="tour-form"
      onSubmit={(event) => {
        event.preventDefault()
        if (name.trim() !== '' && chosen.length > 0) save.mutate(undefined)
      }}
    >
      <Input
        value={name}
        maxLength={60}
        placeholder={t('media:tour.name')}
        aria-label={t('media:tour.name')}
        onChange={(event) => setName(event.target.value)}
      />
      <Select<string[]>
        mode="multiple"
        value={chosen}
        maxTagCount="responsive"
        placeholder={t('media:tour.layouts')}
        aria-label={t('media:tour.layouts')}
        onChange={setChosen}
        showSearch={{ optionFilterProp: 'label' }}
        options={layouts.map((one) => ({ value: one.id, label: one.name }))}
      />
      <div className="tour-row">
        <span>{t('media:tour.dwell')}</span>
        {DWELLS.map((one) => (
          <button key={one} type="button" aria-pressed={one === seconds} onClick={() => setSeconds(one)}>
            {one}
          </button>
        ))}
        <InputNumber
          size="small"
          min={5}
          max={3600}
          value={seconds}
          aria-label={t('media:tour.dwell')}
          onChange={(value) => setSeconds(value ?? 15)}
        />
      </div>
      <div className="tour-row">
        <Checkbox checked={shared} onChange={(event) => setShared(event.target.checked)}>
          {t('media:wall.share')}
        </Checkbox>
        <span className="grow" />
        <Button size="small" onClick={onDone}>
          {t('shared:cancel')}
        </Button>
        <Button
          size="small"
          type="primary"
          htmlType="submit"
          loading={save.isPending}
          disabled={name.trim() === '' || chosen.length === 0}
        >
          {t('shared:save')}
        </Button>
      </div>
    </form>
  )
}
