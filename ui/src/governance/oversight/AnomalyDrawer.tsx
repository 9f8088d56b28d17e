import { useQuery } from '@tanstack/react-query'
import { Drawer, Form, Input, Radio } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../../api/client'
import type { Anomaly, AnomalyDetail, AnomalyVerdict, Id, LedgerRow } from '../../api/types'
import { paths } from '../../app/paths'
import { PointName } from '../../media/PointName'
import { Act } from '../../shared/Act'
import { Failed, Loading } from '../../shared/Face'
import { FormDialog } from '../../shared/FormDialog'
import { count, stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { keyOf, ofPoints } from '../ledger/rows'
import { useCan } from '../session'
import { boundOf, kindOf, windowOf } from './anomalies'
import { Mark } from './Mark'

/** All of one anomaly, the rows behind it, and what an auditor says it was. */
export function AnomalyDrawer({ id, onClose }: { id: Id | null; onClose: () => void }) {
  const { t } = useTranslation()
  const can = useCan()
  const [deciding, setDeciding] = useState(false)
  const anomaly = useQuery({
    queryKey: ['anomaly', id],
    enabled: id !== null,
    queryFn: ({ signal }) => fetched<AnomalyDetail>('GET', `/anomalies/${id ?? ''}`, { signal }),
  })
  const one = id === null ? undefined : anomaly.data
  const why =
    one === undefined
      ? null
      : !can.settle_anomalies
        ? t('shared:not_allowed')
        : one.mine
          ? t('governance:anomaly.own')
          : one.state === 'open'
            ? null
            : t('governance:anomaly.settled')
  return (
    <Drawer
      open={id !== null}
      onClose={onClose}
      size={560}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{ wrapper: { maxWidth: '100%' } }}
      destroyOnHidden
      title={one ? t(`governance:anomaly.rule.${one.rule}`) : t('governance:anomaly.one')}
      extra={one ? <Mark kind={one.state}>{t(`governance:anomaly.state.${one.state}`)}</Mark> : null}
      footer={
        one ? (
          <Act type="primary" reason={why} run={() => setDeciding(true)}>
            {t('governance:anomaly.decide')}
          </Act>
        ) : null
      }
    >
      {one ? (
        <Facts one={one} />
      ) : anomaly.error ? (
        <Failed error={anomaly.error} retry={() => void anomaly.refetch()} />
      ) : (
        <Loading />
      )}
      {deciding && one ? <VerdictDialog one={one} onClose={() => setDeciding(false)} /> : null}
    </Drawer>
  )
}

function Facts({ one }: { one: AnomalyDetail }) {
  const { t } = useTranslation()
  const facts: [label: string, value: React.ReactNode][] = [
    [t('governance:ledger.actor'), one.user.name || one.user.id],
    [t('governance:ledger.unit'), one.unit],
    [t('governance:anomaly.window'), windowOf(one)],
    [
      t('governance:anomaly.count_label'),
      <>
        {t(`governance:anomaly.count.${one.rule}`, { n: count(one.count) })} ·{' '}
        {t(`governance:anomaly.bound.${boundOf(one.rule)}`, { n: count(one.bound) })}
        {one.usual === null ? null : ` · ${t('governance:anomaly.usual', { n: one.usual })}`}
      </>,
    ],
    [t('governance:anomaly.subject'), one.subject === '' ? null : <PointName id={one.subject} />],
    [t('governance:anomaly.found_at'), stamp(one.found_at)],
    [
      t('governance:anomaly.decided'),
      one.decided_at === null ? null : `${one.decided_by} · ${stamp(one.decided_at)}`,
    ],
    [t('governance:anomaly.note'), one.note],
  ]
  return (
    <>
      <p className="muted oversight-about">{t(`governance:anomaly.about.${one.rule}`)}</p>
      <dl className="reason-facts">
        {facts.map(([label, value]) =>
          value === null || value === '' ? null : (
            <div key={label} className="reason-fact">
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
      <h3 className="oversight-rows-head">
        {t('governance:anomaly.rows', { n: count(one.rows.length) })}
        <Link
          to={paths.ledger({
            actor: one.user.id,
            kind: kindOf(one.rule),
            from: one.from,
            to: one.to,
            ...(one.subject === '' ? {} : { object: one.subject }),
          })}
        >
          {t('governance:anomaly.in_ledger')}
        </Link>
      </h3>
      <ul className="oversight-rows">
        {one.rows.map((row) => (
          <Evidence key={keyOf(row)} row={row} />
        ))}
      </ul>
    </>
  )
}

function Evidence({ row }: { row: LedgerRow }) {
  const { t } = useTranslation()
  const [object] = row.objects
  return (
    <li>
      <span>{stamp(row.at)}</span>
      <span>{t(`governance:action.${row.action}`, { defaultValue: row.action })}</span>
      <span className="oversight-object">
        {object === undefined ? (
          row.count > 0 ? (
            `× ${count(row.count)}`
          ) : (
            row.detail
          )
        ) : ofPoints(row) ? (
          <PointName id={object} />
        ) : (
          <code>{object}</code>
        )}
        {row.objects.length > 1 ? ` +${row.objects.length - 1}` : null}
      </span>
      <span className="muted" title={row.case}>
        {row.case || row.outcome || t('governance:anomaly.no_case')}
      </span>
    </li>
  )
}

const VERDICTS = ['explained', 'misconduct', 'dismissed'] as const

function VerdictDialog({ one, onClose }: { one: Anomaly; onClose: () => void }) {
  const { t } = useTranslation()
  const decide = useDo({
    run: ({ verdict, note }: AnomalyVerdict) =>
      fetched<Anomaly>('POST', `/anomalies/${one.id}/decision`, {
        json: { verdict, note: note.trim() } satisfies AnomalyVerdict,
      }),
    done: t('governance:anomaly.done'),
    renew: [['anomalies'], ['anomaly'], ['oversight']],
    then: onClose,
  })
  return (
    <FormDialog<AnomalyVerdict>
      title={t('governance:anomaly.decide_title', { name: one.user.name })}
      okText={t('governance:anomaly.decide')}
      isSaving={decide.isPending}
      onClose={onClose}
      initialValues={{ note: '' }}
      onFinish={(fields) => decide.mutate(fields)}
    >
      <Form.Item
        name="verdict"
        label={t('governance:anomaly.verdict')}
        rules={[{ required: true, message: t('governance:anomaly.verdict_needed') }]}
      >
        <Radio.Group
          className="oversight-verdicts"
          options={VERDICTS.map((value) => ({
            value,
            label: (
              <>
                {t(`governance:anomaly.state.${value}`)}{' '}
                <span className="muted">{t(`governance:anomaly.means.${value}`)}</span>
              </>
            ),
          }))}
        />
      </Form.Item>
      <Form.Item
        name="note"
        label={t('governance:anomaly.note')}
        extra={t('governance:anomaly.final')}
        rules={[{ required: true, whitespace: true, min: 3, message: t('governance:anomaly.note_needed') }]}
      >
        <Input.TextArea maxLength={500} autoSize={{ minRows: 2, maxRows: 6 }} />
      </Form.Item>
    </FormDialog>
  )
}
