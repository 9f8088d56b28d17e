import { useMemo, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { Agreement } from '../../api/types'
import { Act } from '../../shared/Act'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { useNow } from '../../shared/useNow'
import { usePages } from '../../shared/usePages'
import { Two } from '../duties/Two'
import { useCan } from '../session'
import { AgreementDrawer } from './AgreementDrawer'
import { AgreementForm } from './AgreementForm'
import { daysLeft, pressOf } from './agreements'

/** Agreements by which other departments pull from here, latest first. */
export function AgreementsList({ denied, children }: { denied: string | null; children: ReactNode }) {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const list = usePages<Agreement>('sharing', '/sharing')
  const [editing, setEditing] = useState<Agreement | 'new' | null>(null)
  const columns = useMemo<Column<Agreement>[]>(
    () => [
      {
        key: 'state',
        title: t('governance:agreement.state_label'),
        width: '230px',
        render: (one) => <Two first={<AgreementClock one={one} />} second={`${one.from} – ${one.until}`} />,
      },
      {
        key: 'partner',
        title: t('governance:agreement.partner'),
        width: 'minmax(170px, 1.4fr)',
        render: ({ department, unit }) => (
          <Two first={<b title={department}>{department}</b>} second={<span title={unit}>{unit}</span>} />
        ),
      },
      {
        key: 'number',
        title: t('governance:agreement.number'),
        width: 'minmax(140px, 1fr)',
        render: ({ number, kind }) => (
          <Two first={<span title={number}>{number}</span>} second={t(`governance:purpose.kind.${kind}`)} />
        ),
      },
      {
        key: 'what',
        title: t('governance:agreement.what'),
        width: 'minmax(200px, 1.6fr)',
        render: (one) => {
          const actions = one.actions.map((action) => t(`governance:action.${action}`)).join(' · ')
          return (
            <Two
              first={<span title={one.organisation.name}>{one.organisation.name}</span>}
              second={
                <span title={actions}>
                  {t('governance:agreement.n_fields', { n: one.fields.length })} · {actions}
                </span>
              }
            />
          )
        },
      },
      {
        key: 'accounts',
        title: t('governance:agreement.accounts'),
        width: 'minmax(130px, 1fr)',
        render: ({ accounts }) => {
          const names = accounts.map(({ name }) => name).join(', ')
          return (
            <span className="mono" title={names}>
              {names}
            </span>
          )
        },
      },
    ],
    [t],
  )
  if (!can.read_duties)
    return (
      <>
        <div className="page-bar">{children}</div>
        <Face kind="forbidden" text={t('shared:not_allowed')} detail={t('shared:face.ask_admin')} />
      </>
    )
  return (
    <>
      <ListPage
        list={list}
        label={t('governance:agreement.title')}
        columns={columns}
        rowKey={({ id }) => id}
        rowHeight={56}
        selected={search.get('open')}
        onOpen={({ id }) => put({ open: id })}
        empty={
          <Face kind="empty" text={t('governance:agreement.none')} detail={t('governance:agreement.lead')} />
        }
      >
        {children}
        <Act type="primary" reason={denied} run={() => setEditing('new')}>
          {t('governance:agreement.add')}
        </Act>
      </ListPage>
      <AgreementDrawer
        id={search.get('open')}
        denied={denied}
        onEdit={setEditing}
        onClose={() => put({ open: null })}
      />
      {editing ? (
        <AgreementForm agreement={editing === 'new' ? null : editing} onClose={() => setEditing(null)} />
      ) : null}
    </>
  )
}

/** How far it is, in colour, shape and words. */
export function AgreementClock({ one }: { one: Agreement }) {
  const { t } = useTranslation()
  const now = useNow(60_000)
  const press = pressOf(one, now)
  const left = daysLeft(one, now)
  return (
    <span className={`duty-clock duty-${press}`}>
      {press === 'soon'
        ? t('governance:agreement.left', { n: left })
        : t(`governance:agreement.state.${one.state}`)}
    </span>
  )
}
