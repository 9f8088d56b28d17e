import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { Form, Input, Select } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import { fetched } from '../../api/client'
import type { Brought, ExportJob, Id, Page, Point, Purpose, RequestAct } from '../../api/types'
import { paths } from '../../app/paths'
import { Act } from '../../shared/Act'
import { FormDialog } from '../../shared/FormDialog'
import { stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { useSure } from '../../shared/useSure'
import { useCan } from '../session'
import { momentOf, REFUSALS } from './requests'

const RENEW = [['requests']] as const
const MINUTES = 120

type Asked = 'identify' | 'search' | 'propose' | 'send_back' | 'refuse' | 'answer'

/** What this person can do with a request now; what is another's is disabled and says whose it is. */
export function RequestActs({ one }: { one: Brought }) {
  const { t } = useTranslation()
  const can = useCan()
  const sure = useSure()
  const navigate = useNavigate()
  const client = useQueryClient()
  const [asked, setAsked] = useState<Asked | null>(null)
  const post = (path: string, json?: object) =>
    fetched<Brought>('POST', `/requests/${one.id}/${path}`, json === undefined ? {} : { json })
  const { mutate: step } = useDo({
    run: ({ path, json }: { path: string; json?: object }) => post(path, json),
    done: t('governance:request.done'),
    renew: RENEW,
  })
  const { mutate: look } = useDo({
    run: () => fetched<Purpose>('POST', `/requests/${one.id}/purpose`, { json: { minutes: MINUTES } }),
    then: () => {
      void client.invalidateQueries({ queryKey: ['session'] })
      const first = one.places[0]
      if (first === undefined) return
      const points = [...new Set(one.places.map(({ point }) => point))]
      void navigate(paths.playback(points, first.start, { start: first.start, end: first.end }))
    },
  })
  const may = (act: RequestAct) => one.acts.includes(act)
  const denied = !can.handle_requests
    ? t('shared:not_allowed')
    : one.mine
      ? null
      : t('governance:request.handler_is', { who: one.handler })
  if (one.acts.length === 0) return null
  return (
    <span className="row-acts request-acts">
      {may('identify') ? (
        <Act type="primary" reason={denied} run={() => setAsked('identify')}>
          {t('governance:request.identify')}
        </Act>
      ) : null}
      {may('search') ? (
        <Act
          type={one.state === 'identified' ? 'primary' : 'default'}
          reason={denied}
          run={() => setAsked('search')}
        >
          {t('governance:request.search')}
        </Act>
      ) : null}
      {may('propose') ? (
        <>
          <Act reason={denied} run={() => look(undefined)}>
            {t('governance:request.purpose')}
          </Act>
          <Act type="primary" reason={denied} run={() => setAsked('propose')}>
            {t('governance:request.propose')}
          </Act>
        </>
      ) : null}
      {may('consent') ? (
        <>
          <Act
            type="primary"
            reason={
              one.may_decide
                ? null
                : one.mine || can.approve
                  ? t('governance:request.proposed', { how: one.how, who: one.proposed_by })
                  : t('shared:not_allowed')
            }
            run={() =>
              sure({
                title: t('governance:request.consent_title'),
                text: t('governance:request.consent_text'),
                ok: t('governance:request.consent'),
                danger: false,
                run: () => step({ path: 'decision', json: { yes: true } }),
              })
            }
          >
            {t('governance:request.consent')}
          </Act>
          {one.may_decide ? (
            <Act danger run={() => setAsked('send_back')}>
              {t('governance:request.send_back')}
            </Act>
          ) : null}
        </>
      ) : null}
      {may('answer') ? (
        <Act type="primary" reason={denied} run={() => setAsked('answer')}>
          {t('governance:request.answer')}
        </Act>
      ) : null}
      {may('refuse') ? (
        <Act danger reason={denied} run={() => setAsked('refuse')}>
          {t('governance:request.refuse')}
        </Act>
      ) : null}
      {may('withdraw') ? (
        <Act
          reason={denied}
          run={() =>
            sure({
              title: t('governance:request.withdraw_title'),
              text: t('governance:request.withdraw_text'),
              ok: t('governance:request.withdraw'),
              run: () => step({ path: 'withdrawal' }),
            })
          }
        >
          {t('governance:request.withdraw')}
        </Act>
      ) : null}
      {!one.mine && one.state !== 'proposed' ? (
        <Act
          reason={can.handle_requests ? null : t('shared:not_allowed')}
          run={() => step({ path: 'handler' })}
        >
          {t('governance:request.take')}
        </Act>
      ) : null}
      {asked === 'search' ? <PlacesDialog one={one} onClose={() => setAsked(null)} /> : null}
      {asked === 'propose' ? <ProposalDialog one={one} onClose={() => setAsked(null)} /> : null}
      {asked !== null && asked !== 'search' && asked !== 'propose' ? (
        <WordsDialog one={one} asked={asked} onClose={() => setAsked(null)} />
      ) : null}
    </span>
  )
}

interface Words {
  text: string
  reason?: string
}

const SENDS: Record<Exclude<Asked, 'search' | 'propose'>, [path: string, json: (words: Words) => object]> = {
  identify: ['identity', ({ text }) => ({ text })],
  answer: ['answer', ({ text }) => ({ text })],
  refuse: ['refusal', ({ text, reason }) => ({ text, reason })],
  send_back: ['decision', ({ text }) => ({ yes: false, reason: text })],
}
const LABELS = {
  identify: 'identify_label',
  answer: 'answer_label',
  refuse: 'text',
  send_back: 'why_not',
} as const

interface DialogProps {
  one: Brought
  onClose: () => void
}

/** A step that is told in words. */
function WordsDialog({ one, asked, onClose }: DialogProps & { asked: keyof typeof SENDS }) {
  const { t } = useTranslation()
  const [path, json] = SENDS[asked]
  const save = useDo({
    run: (words: Words) =>
      fetched<Brought>('POST', `/requests/${one.id}/${path}`, {
        json: json({ ...words, text: words.text.trim() }),
      }),
    done: t('governance:request.done'),
    renew: RENEW,
    then: onClose,
  })
  const message = t('governance:request.needed')
  return (
    <FormDialog<Words>
      title={`${t(`governance:request.${asked}`)} ${one.number}`}
      danger={asked === 'refuse' || asked === 'send_back'}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={{ text: '' }}
      onFinish={(words) => save.mutate(words)}
    >
      {asked === 'refuse' ? (
        <Form.Item
          name="reason"
          label={t('governance:request.refuse_reason')}
          rules={[{ required: true, message }]}
        >
          <Select
            options={REFUSALS.map((value) => ({ value, label: t(`governance:request.reason.${value}`) }))}
          />
        </Form.Item>
      ) : null}
      <Form.Item
        name="text"
        label={t(`governance:request.${LABELS[asked]}`)}
        {...(asked === 'identify' ? { extra: t('governance:request.identify_hint') } : {})}
        rules={[{ required: true, whitespace: true, message }]}
      >
        <Input.TextArea
          autoFocus
          maxLength={asked === 'identify' ? 300 : 500}
          autoSize={{ minRows: 2, maxRows: 6 }}
        />
      </Form.Item>
    </FormDialog>
  )
}

interface PlaceFields {
  points: Id[]
  from: string
  to: string
}

/** Which points are looked through, and from when to when. */
function PlacesDialog({ one, onClose }: DialogProps) {
  const { t } = useTranslation()
  const [query, setQuery] = useState('')
  const points = useQuery({
    queryKey: ['points', 'of-request', query],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      fetched<Page<Point>>('GET', '/points', {
        query: { q: query || null, kind: 'camera', limit: 50 },
        signal,
      }),
  })
  const save = useDo({
    run: ({ points: chosen, from, to }: PlaceFields) =>
      fetched<Brought>('POST', `/requests/${one.id}/places`, {
        json: { items: chosen.map((point) => ({ point, from: momentOf(from), to: momentOf(to) })) },
      }),
    done: t('governance:request.done'),
    renew: RENEW,
    then: onClose,
  })
  const moment = [
    {
      validator: (_: unknown, text: string) =>
        momentOf(text) === null
          ? Promise.reject(new Error(t('governance:request.moment_rule')))
          : Promise.resolve(),
    },
  ]
  const asText = (at: string | null) => (at === null ? '' : stamp(at).slice(0, 16))
  const first = one.places[0]
  return (
    <FormDialog<PlaceFields>
      title={`${t('governance:request.search')} ${one.number}`}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={{
        points: [...new Set(one.places.map(({ point }) => point))],
        from: asText(first?.start ?? one.start),
        to: asText(first?.end ?? one.end),
      }}
      onFinish={(fields) => save.mutate(fields)}
    >
      <p className="muted">
        {one.place} · {one.what}
      </p>
      <Form.Item
        name="points"
        label={t('governance:request.search_label')}
        rules={[{ required: true, message: t('governance:request.needed') }]}
      >
        <Select<Id[]>
          mode="multiple"
          showSearch={{ filterOption: false, onSearch: setQuery }}
          loading={points.isFetching}
          options={points.data?.items.map(({ id, name, code }) => ({ value: id, label: name, title: code }))}
        />
      </Form.Item>
      <div className="sign-pair">
        <Form.Item name="from" label={t('governance:request.from')} rules={moment}>
          <Input className="mono" maxLength={16} />
        </Form.Item>
        <Form.Item name="to" label={t('governance:request.to')} rules={moment}>
          <Input className="mono" maxLength={16} />
        </Form.Item>
      </div>
    </FormDialog>
  )
}

/** Which redacted copy is handed over, and how. */
function ProposalDialog({ one, onClose }: DialogProps) {
  const { t } = useTranslation()
  const copies = useQuery({
    queryKey: ['exports', 'redacted'],
    queryFn: ({ signal }) => fetched<Page<ExportJob>>('GET', '/exports', { query: { limit: 100 }, signal }),
    select: ({ items }) => items.filter(({ form, state }) => form === 'redacted' && state === 'ready'),
  })
  const save = useDo({
    run: (json: { export: Id; how: string }) =>
      fetched<Brought>('POST', `/requests/${one.id}/proposal`, { json: { ...json, how: json.how.trim() } }),
    done: t('governance:request.done'),
    renew: RENEW,
    then: onClose,
  })
  const message = t('governance:request.needed')
  // those that were made for this request stand first
  const found = [...(copies.data ?? [])].sort(
    (a, b) => Number(b.case_no === one.number) - Number(a.case_no === one.number),
  )
  return (
    <FormDialog<{ export: Id; how: string }>
      title={`${t('governance:request.propose')} ${one.number}`}
      isSaving={save.isPending}
      onClose={onClose}
      onFinish={(fields) => save.mutate(fields)}
    >
      <Form.Item name="export" label={t('governance:request.export')} rules={[{ required: true, message }]}>
        <Select<Id>
          loading={copies.isPending}
          notFoundContent={t('governance:request.export_none')}
          options={found.map(({ id, items, created_at, case_no }) => ({
            value: id,
            label: `${case_no} · ${items[0]?.name ?? ''} · ${stamp(created_at).slice(5, 16)}`,
          }))}
        />
      </Form.Item>
      <Form.Item
        name="how"
        label={t('governance:request.how')}
        rules={[{ required: true, whitespace: true, message }]}
      >
        <Input maxLength={300} />
      </Form.Item>
    </FormDialog>
  )
}
