import { Segmented } from 'antd'
import { useMemo, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { VideoSystem } from '../../api/types'
import { Act } from '../../shared/Act'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { count } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'
import { useSure } from '../../shared/useSure'
import { AssessmentsList } from '../assessments/AssessmentsList'
import { RequestsList } from '../requests/RequestsList'
import { useCan } from '../session'
import { AgreementsList } from '../sharing/AgreementsList'
import { Clock } from './Clock'
import { FilingDialog } from './FilingDialog'
import { SignsList } from './SignsList'
import { SystemForm } from './SystemForm'
import { Two } from './Two'
import './duties.css'

const PARTS = ['systems', 'signs', 'requests', 'agreements', 'assessments'] as const

/** Video systems and their filing with the police (备案); what presses most stands first. */
export function DutiesTab() {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const part = PARTS.find((name) => name === search.get('part')) ?? 'systems'
  if (!can.read_duties && !can.read_requests)
    return <Face kind="forbidden" text={t('shared:not_allowed')} detail={t('shared:face.ask_admin')} />
  const denied = can.manage_duties ? null : t('shared:not_allowed')
  const parts = (
    <Segmented<(typeof PARTS)[number]>
      value={part}
      aria-label={t('governance:duty.title')}
      onChange={(next) =>
        put({ part: next === 'systems' ? null : next, system: null, open: null, overdue: null, kind: null })
      }
      options={[
        { value: 'systems', label: t('governance:duty.systems') },
        { value: 'signs', label: t('governance:sign.title') },
        { value: 'requests', label: t('governance:request.title') },
        { value: 'agreements', label: t('governance:agreement.title') },
        { value: 'assessments', label: t('governance:assessment.title') },
      ]}
    />
  )
  if (part === 'requests') return <RequestsList>{parts}</RequestsList>
  if (part === 'agreements') return <AgreementsList denied={denied}>{parts}</AgreementsList>
  if (part === 'assessments') return <AssessmentsList denied={denied}>{parts}</AssessmentsList>
  return part === 'signs' ? (
    <SignsList system={search.get('system')} denied={denied} onAll={() => put({ system: null })}>
      {parts}
    </SignsList>
  ) : (
    <Systems denied={denied} onSigns={({ id }) => put({ part: 'signs', system: id })}>
      {parts}
    </Systems>
  )
}

interface SystemsProps {
  denied: string | null
  onSigns: (system: VideoSystem) => void
  children: ReactNode
}

function Systems({ denied, onSigns, children }: SystemsProps) {
  const { t } = useTranslation()
  const sure = useSure()
  const list = usePages<VideoSystem>('video-systems', '/video-systems')
  const [editing, setEditing] = useState<VideoSystem | 'new' | null>(null)
  const [opened, setOpened] = useState<string | null>(null)
  const { mutate: remove } = useDo({
    run: ({ id }: VideoSystem) => fetched<undefined>('DELETE', `/video-systems/${id}`),
    done: t('governance:duty.removed'),
    renew: [['video-systems']],
  })
  const columns = useMemo<Column<VideoSystem>[]>(
    () => [
      {
        key: 'clock',
        title: t('governance:duty.filing'),
        width: '190px',
        render: ({ filing }) => (
          <Two
            first={<Clock filing={filing} />}
            second={filing.due_on ? t('governance:duty.due_on', { day: filing.due_on }) : filing.receipt_no}
          />
        ),
      },
      {
        key: 'name',
        title: t('governance:duty.name'),
        width: 'minmax(170px, 1.4fr)',
        render: (one) => (
          <Two
            first={
              <b>
                <Whole text={one.name} />
              </b>
            }
            second={one.organisation.name}
          />
        ),
      },
      {
        key: 'regime',
        title: t('governance:duty.regime_label'),
        width: 'minmax(130px, 1fr)',
        render: (one) => (
          <Two first={t(`governance:duty.regime.${one.regime}`)} second={<Whole text={one.legal_basis} />} />
        ),
      },
      {
        key: 'devices',
        title: t('governance:duty.devices'),
        width: 'minmax(150px, 1fr)',
        render: (one) => (
          <Two
            first={t('governance:duty.total', { n: count(one.total) })}
            second={
              <Whole
                text={Object.entries(one.devices)
                  .map(([kind, n]) => `${t(`shared:kind.${kind}`)} ${count(n)}`)
                  .join(' · ')}
              />
            }
          />
        ),
      },
      {
        key: 'signs',
        title: t('governance:sign.title'),
        width: '100px',
        render: (one) => (
          <button type="button" className="duty-link" onClick={() => onSigns(one)}>
            {one.lacks_sign ? (
              <span className="duty-clock duty-late">{t('governance:sign.lacking')}</span>
            ) : (
              t('governance:sign.count', { n: count(one.signs) })
            )}
          </button>
        ),
      },
      {
        key: 'kept',
        title: t('governance:duty.in_use_on'),
        width: '120px',
        render: (one) => (
          <Two first={one.in_use_on} second={t('governance:duty.keeps', { n: one.retention_days })} />
        ),
      },
      {
        key: 'acts',
        title: <span className="visually-hidden">{t('governance:duty.acts')}</span>,
        width: '220px',
        align: 'end',
        render: (one) => (
          <span className="row-acts">
            <Act size="small" run={() => setOpened(one.id)}>
              {t('governance:duty.open')}
            </Act>
            <Act size="small" reason={denied} run={() => setEditing(one)}>
              {t('governance:user.edit')}
            </Act>
            <Act
              size="small"
              reason={denied}
              run={() =>
                sure({
                  title: t('governance:duty.remove_title', { name: one.name }),
                  text: t('governance:duty.remove_text'),
                  ok: t('shared:delete'),
                  run: () => remove(one),
                })
              }
            >
              {t('shared:delete')}
            </Act>
          </span>
        ),
      },
    ],
    [t, denied, sure, remove, onSigns],
  )
  const shown = list.rows.find(({ id }) => id === opened)
  return (
    <>
      <ListPage
        list={list}
        label={t('governance:duty.title')}
        columns={columns}
        rowKey={({ id }) => id}
        rowHeight={56}
        empty={<Face kind="empty" text={t('governance:duty.none')} detail={t('governance:duty.lead')} />}
      >
        {children}
        <Act type="primary" reason={denied} run={() => setEditing('new')}>
          {t('governance:duty.add')}
        </Act>
      </ListPage>
      {editing ? (
        <SystemForm system={editing === 'new' ? null : editing} onClose={() => setEditing(null)} />
      ) : null}
      {shown ? <FilingDialog system={shown} denied={denied} onClose={() => setOpened(null)} /> : null}
    </>
  )
}

/** What may be cut short, whole under the pointer. */
function Whole({ text }: { text: string }) {
  return <span title={text}>{text}</span>
}
