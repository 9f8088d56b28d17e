import { useQuery } from '@tanstack/react-query'
import { Drawer, Segmented } from 'antd'
import { useMemo, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../../api/client'
import type { DeletionProof, Id, WholeDeletionProof } from '../../api/types'
import { paths } from '../../app/paths'
import { Copyable } from '../../shared/Copyable'
import type { Column } from '../../shared/DataTable'
import { Face, Failed, Loading } from '../../shared/Face'
import { count, rangeText, stamp } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useAddress } from '../../shared/useAddress'
import { usePages } from '../../shared/usePages'
import { size } from '../playback/clip'

/** What was deleted, by whom, and the proof of it. */
export function DeletionsList({ children }: { children: ReactNode }) {
  const { t } = useTranslation()
  const [search, , put] = useAddress()
  const byHand = search.get('by') === 'hand'
  const opened = search.get('open')
  const list = usePages<DeletionProof>('deletions', '/deletions', { by_hand: byHand ? true : null })
  const columns = useMemo<Column<DeletionProof>[]>(
    () => [
      {
        key: 'at',
        title: t('media:retention.at'),
        width: '190px',
        render: ({ at }) => stamp(at),
      },
      {
        key: 'keeper',
        title: t('media:retention.what'),
        width: 'minmax(90px, 0.5fr)',
        render: ({ keeper }) => t(`media:retention.keeper.${keeper}`, keeper),
      },
      {
        key: 'count',
        title: t('media:retention.deleted'),
        width: 'minmax(150px, 0.8fr)',
        align: 'end',
        render: (one) => t('media:retention.objects', { n: count(one.count), size: size(one.bytes) }),
      },
      {
        key: 'range',
        title: t('media:retention.range'),
        width: 'minmax(310px, 1.2fr)',
        render: ({ start, end }) => <span title={rangeText(start, end)}>{rangeText(start, end)}</span>,
      },
      {
        key: 'by',
        title: t('media:retention.by'),
        width: 'minmax(130px, 1fr)',
        render: (one) =>
          one.by === '' ? t('media:retention.by_rule') : <b>{`${one.by} · ${one.second}`}</b>,
      },
      {
        key: 'why',
        title: t('media:retention.why'),
        width: 'minmax(120px, 1.4fr)',
        render: ({ why }) => <span title={why}>{why}</span>,
      },
    ],
    [t],
  )
  return (
    <>
      <ListPage
        list={list}
        label={t('media:retention.views.deletions')}
        columns={columns}
        rowKey={({ id }) => id}
        rowHeight={40}
        selected={opened}
        onOpen={({ id }) => put({ open: id })}
        empty={
          <Face
            kind="empty"
            text={t(byHand ? 'media:retention.none_by_hand' : 'media:retention.no_deletions')}
            detail={t('media:retention.deletions_lead')}
          />
        }
      >
        {children}
        <Segmented<'all' | 'hand'>
          value={byHand ? 'hand' : 'all'}
          aria-label={t('media:retention.by')}
          onChange={(next) => put({ by: next === 'hand' ? next : null, open: null })}
          options={[
            { value: 'all', label: t('media:retention.all') },
            { value: 'hand', label: t('media:retention.by_hand') },
          ]}
        />
      </ListPage>
      <ProofDrawer id={opened} onClose={() => put({ open: null })} />
    </>
  )
}

function ProofDrawer({ id, onClose }: { id: Id | null; onClose: () => void }) {
  const { t } = useTranslation()
  const proof = useQuery({
    queryKey: ['deletion', id],
    enabled: id !== null,
    queryFn: ({ signal }) => fetched<WholeDeletionProof>('GET', `/deletions/${id ?? ''}`, { signal }),
  })
  const one = id === null ? undefined : proof.data
  return (
    <Drawer
      open={id !== null}
      onClose={onClose}
      size={640}
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{ wrapper: { maxWidth: '100%' } }}
      destroyOnHidden
      title={t('media:retention.proof')}
    >
      {one ? (
        <>
          <dl className="retention-facts">
            <dt>{t('media:retention.at')}</dt>
            <dd>{stamp(one.at)}</dd>
            <dt>{t('media:retention.range')}</dt>
            <dd>{rangeText(one.start, one.end)}</dd>
            <dt>{t('media:retention.by')}</dt>
            <dd>{one.by === '' ? t('media:retention.by_rule') : `${one.by} · ${one.second}`}</dd>
            {one.why === '' ? null : (
              <>
                <dt>{t('media:retention.why')}</dt>
                <dd>{one.why}</dd>
              </>
            )}
            {one.approval === '' ? null : (
              <>
                <dt>{t('media:retention.approval')}</dt>
                <dd>
                  <Link to={paths.approvals({ open: one.approval })}>{one.approval}</Link>
                </dd>
              </>
            )}
            <dt>{t('media:retention.digest')}</dt>
            <dd>
              <Copyable text={one.digest} />
            </dd>
          </dl>
          <table className="retention-objects">
            <caption className="visually-hidden">{t('media:retention.objects_of')}</caption>
            <thead>
              <tr>
                <th>{t('media:retention.object')}</th>
                <th>{t('media:retention.bytes')}</th>
                <th>SHA-256</th>
              </tr>
            </thead>
            <tbody>
              {one.objects.map((gone) => (
                <tr key={gone.id}>
                  <td title={gone.id}>{gone.id}</td>
                  <td>{gone.bytes === null ? '—' : size(gone.bytes)}</td>
                  <td title={gone.sha256 ?? t('media:retention.no_hash')}>
                    {gone.sha256 ?? t('media:retention.no_hash')}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      ) : proof.error ? (
        <Failed error={proof.error} retry={() => void proof.refetch()} />
      ) : (
        <Loading />
      )}
    </Drawer>
  )
}
