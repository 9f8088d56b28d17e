import { useQuery } from '@tanstack/react-query'
import { Form, InputNumber, Select } from 'antd'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { TFunction } from 'i18next'
import { fetched } from '../api/client'
import type { Id, Plan, PlanDraft, PlanEdit, SearchHit } from '../api/types'
import { useCan } from '../governance/session'
import { Act } from '../shared/Act'
import type { Column } from '../shared/DataTable'
import { Face } from '../shared/Face'
import { FormDialog } from '../shared/FormDialog'
import { stamp } from '../shared/format'
import { ListPage } from '../shared/ListPage'
import { useDo } from '../shared/useDo'
import { usePages } from '../shared/usePages'
import { useSure } from '../shared/useSure'
import { PointName } from './PointName'

const CLASSES = ['1', '2', '3'] as const
const RENEW = [['recording-plans']]
const ON_EVENT = { pre: 10, post: 30, most: 1800 }

/** What is recorded, and when: of a class of points, or of one point, which then does not follow its class. */
export function PlansTab() {
  const { t } = useTranslation()
  const can = useCan()
  const sure = useSure()
  const plans = usePages<Plan>('recording-plans', '/recording-plans')
  const [editing, setEditing] = useState<Plan | 'new' | null>(null)
  const { mutate: end } = useDo({
    run: (plan: Plan) =>
      fetched<undefined>('DELETE', `/recording-plans/${plan.id}`, { query: { version: plan.version } }),
    done: t('media:plan.ended'),
    renew: RENEW,
  })
  const denied = can.administer ? null : t('shared:not_allowed')
  const columns = useMemo<Column<Plan>[]>(
    () => [
      {
        key: 'whom',
        title: t('media:plan.whom'),
        width: 'minmax(180px, 2fr)',
        render: (plan) =>
          plan.point === null ? (
            t('media:plan.class_of', { name: plan.point_class })
          ) : (
            <PointName id={plan.point} />
          ),
      },
      {
        key: 'mode',
        title: t('media:plan.mode'),
        width: 'minmax(220px, 3fr)',
        render: (plan) => modeText(plan, t),
      },
      {
        key: 'stream',
        title: t('media:plan.stream'),
        width: '100px',
        render: (plan) => t(`media:plan.streams.${plan.stream}`, { defaultValue: plan.stream }),
      },
      { key: 'since', title: t('media:plan.since'), width: '170px', render: (plan) => stamp(plan.since) },
      {
        key: 'acts',
        title: <span className="visually-hidden">{t('media:plan.acts')}</span>,
        width: '170px',
        align: 'end',
        render: (plan) => (
          <span className="row-acts">
            <Act
              size="small"
              reason={denied ?? (plan.mode === 'schedule' ? t('media:plan.schedule_by_api') : null)}
              run={() => setEditing(plan)}
            >
              {t('media:plan.edit')}
            </Act>
            <Act
              size="small"
              reason={denied}
              run={() =>
                sure({
                  title: t('media:plan.end_title'),
                  text: t('media:plan.end_text'),
                  ok: t('media:plan.end'),
                  run: () => end(plan),
                })
              }
            >
              {t('media:plan.end')}
            </Act>
          </span>
        ),
      },
    ],
    [t, denied, sure, end],
  )
  return (
    <>
      <ListPage
        list={plans}
        label={t('media:plan.title')}
        columns={columns}
        rowKey={(plan) => plan.id}
        rowHeight={40}
        empty={<Face kind="empty" text={t('media:plan.none')} />}
      >
        <Act type="primary" reason={denied} run={() => setEditing('new')}>
          {t('media:plan.add')}
        </Act>
      </ListPage>
      {editing ? (
        <PlanForm plan={editing === 'new' ? null : editing} onClose={() => setEditing(null)} />
      ) : null}
    </>
  )
}

/** `On event: 10 s before, 30 s after, 1800 s at most` */
export function modeText({ mode, weekly, on_event: onEvent }: Plan, t: TFunction): string {
  if (onEvent) return t('media:plan.on_event', { ...onEvent })
  return mode === 'schedule'
    ? t('media:plan.schedule', { n: weekly.length })
    : t('media:plan.modes.continuous')
}

interface Fields {
  of: 'point' | 'class'
  point?: Id
  point_class?: string
  mode: 'continuous' | 'on_event'
  stream: string
  pre: number
  post: number
  most: number
}

function PlanForm({ plan, onClose }: { plan: Plan | null; onClose: () => void }) {
  const { t } = useTranslation()
  const [form] = Form.useForm<Fields>()
  const of = Form.useWatch('of', form)
  const mode = Form.useWatch('mode', form)
  const [q, setQ] = useState('')
  const found = useQuery({
    queryKey: ['search', q],
    enabled: q.trim() !== '',
    queryFn: ({ signal }) => fetched<{ items: SearchHit[] }>('GET', '/search', { query: { q }, signal }),
  })
  const points = (found.data?.items ?? []).filter((item) => item.type === 'point')
  const save = useDo({
    run: (fields: Fields) => {
      const wanted = {
        mode: fields.mode,
        stream: fields.stream,
        priority: plan?.priority ?? 5,
        weekly: [],
        on_event:
          fields.mode === 'on_event' ? { pre: fields.pre, post: fields.post, most: fields.most } : null,
      }
      return plan
        ? fetched<Plan>('PUT', `/recording-plans/${plan.id}`, {
            json: { ...wanted, version: plan.version } satisfies PlanEdit,
          })
        : fetched<Plan>('POST', '/recording-plans', {
            json: {
              ...wanted,
              point: fields.of === 'point' ? (fields.point ?? null) : null,
              point_class: fields.of === 'class' ? (fields.point_class ?? null) : null,
            } satisfies PlanDraft,
          })
    },
    done: t('media:plan.saved'),
    renew: RENEW,
    then: onClose,
  })
  const second = (name: 'pre' | 'post' | 'most', min: number, max: number) => (
    <Form.Item name={name} label={t(`media:plan.${name}`)} extra={t(`media:plan.${name}_hint`)}>
      <InputNumber min={min} max={max} precision={0} suffix={t('media:plan.seconds')} />
    </Form.Item>
  )
  return (
    <FormDialog<Fields>
      form={form}
      title={plan ? t('media:plan.edit') : t('media:plan.add')}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={{
        of: 'point',
        mode: plan?.mode === 'on_event' ? 'on_event' : 'continuous',
        stream: plan?.stream ?? 'main',
        ...(plan?.on_event ?? ON_EVENT),
      }}
      onFinish={(fields) => save.mutate(fields)}
    >
      {plan ? null : (
        <>
          <Form.Item name="of" label={t('media:plan.whom')}>
            <Select
              options={(['point', 'class'] as const).map((value) => ({
                value,
                label: t(`media:plan.of.${value}`),
              }))}
            />
          </Form.Item>
          {of === 'class' ? (
            <Form.Item
              name="point_class"
              label={t('media:plan.of.class')}
              rules={[{ required: true, message: t('media:plan.whom_needed') }]}
            >
              <Select
                options={CLASSES.map((value) => ({
                  value,
                  label: t('media:plan.class_of', { name: value }),
                }))}
              />
            </Form.Item>
          ) : (
            <Form.Item
              name="point"
              label={t('media:plan.of.point')}
              rules={[{ required: true, message: t('media:plan.whom_needed') }]}
            >
              <Select
                showSearch={{ filterOption: false, onSearch: setQ }}
                loading={found.isFetching}
                placeholder={t('media:tree.search')}
                options={points.map((item) => ({ value: item.id, label: item.title }))}
              />
            </Form.Item>
          )}
        </>
      )}
      <Form.Item name="mode" label={t('media:plan.mode')}>
        <Select
          options={(['continuous', 'on_event'] as const).map((value) => ({
            value,
            label: t(`media:plan.modes.${value}`),
          }))}
        />
      </Form.Item>
      {mode === 'on_event' ? (
        <>
          {second('pre', 0, 60)}
          {second('post', 5, 3600)}
          {second('most', 5, 86_400)}
        </>
      ) : null}
      <Form.Item name="stream" label={t('media:plan.stream')}>
        <Select
          options={['main', 'sub'].map((value) => ({ value, label: t(`media:plan.streams.${value}`) }))}
        />
      </Form.Item>
    </FormDialog>
  )
}
