import { useQuery } from '@tanstack/react-query'
import { Image, Tag } from 'antd'
import { useMemo, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched, urlOf } from '../../api/client'
import type { Id, Sign, VideoSystem } from '../../api/types'
import { Act } from '../../shared/Act'
import type { Column } from '../../shared/DataTable'
import { Face } from '../../shared/Face'
import { coordinates } from '../../shared/format'
import { ListPage } from '../../shared/ListPage'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'
import { useSure } from '../../shared/useSure'
import { SignForm } from './SignForm'
import { Two } from './Two'

interface SignsListProps {
  /** Only those of one system; null for all. */
  system: Id | null
  denied: string | null
  onAll: () => void
  children: ReactNode
}

/** The register of signs; those that nobody has looked at for longest stand first. */
export function SignsList({ system, denied, onAll, children }: SignsListProps) {
  const { t } = useTranslation()
  const sure = useSure()
  const list = usePages<Sign>('signs', '/signs', system === null ? {} : { system })
  const of = useQuery({
    queryKey: ['video-systems', system],
    enabled: system !== null,
    queryFn: ({ signal }) => fetched<VideoSystem>('GET', `/video-systems/${system}`, { signal }),
  }).data
  const [editing, setEditing] = useState<Sign | 'new' | null>(null)
  const { mutate: remove } = useDo({
    run: ({ id }: Sign) => fetched<undefined>('DELETE', `/signs/${id}`),
    done: t('governance:duty.removed'),
    renew: [['signs'], ['video-systems']],
  })
  const columns = useMemo<Column<Sign>[]>(
    () => [
      {
        key: 'photo',
        title: t('governance:sign.photo'),
        width: '88px',
        render: (one) =>
          one.photo ? (
            <Image
              className="sign-thumb"
              src={photoUrl(one)}
              alt={t('governance:sign.photo_of', { place: one.place })}
            />
          ) : (
            <span className="muted">{t('governance:sign.no_photo')}</span>
          ),
      },
      {
        key: 'place',
        title: t('governance:sign.place'),
        width: 'minmax(150px, 1.2fr)',
        render: ({ place, longitude, latitude }) => (
          <Two
            first={<b title={place}>{place}</b>}
            second={longitude === null || latitude === null ? '' : coordinates(longitude, latitude)}
          />
        ),
      },
      {
        key: 'wording',
        title: t('governance:sign.wording'),
        width: 'minmax(180px, 1.6fr)',
        render: ({ wording, language, contact }) => (
          <Two first={<span title={wording}>{wording}</span>} second={`${language} · ${contact}`} />
        ),
      },
      {
        key: 'system',
        title: t('governance:duty.name'),
        width: 'minmax(130px, 1fr)',
        render: ({ system }) => <span title={system.name}>{system.name}</span>,
      },
      {
        key: 'checked',
        title: t('governance:sign.checked_on'),
        width: '210px',
        render: (one) => (
          <Two
            first={one.checked_on}
            second={
              <span className={one.is_due ? 'duty-clock duty-late' : ''}>
                {t(one.is_due ? 'governance:sign.due' : 'governance:sign.next', { day: one.next_check_on })}
              </span>
            }
          />
        ),
      },
      {
        key: 'acts',
        title: <span className="visually-hidden">{t('governance:duty.acts')}</span>,
        width: '150px',
        align: 'end',
        render: (one) => (
          <span className="row-acts">
            <Act size="small" reason={denied} run={() => setEditing(one)}>
              {t('governance:user.edit')}
            </Act>
            <Act
              size="small"
              reason={denied}
              run={() =>
                sure({
                  title: t('governance:duty.remove_title', { name: one.place }),
                  text: t('governance:sign.remove_text'),
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
    [t, denied, sure, remove],
  )
  return (
    <>
      <ListPage
        list={list}
        label={t('governance:sign.title')}
        columns={columns}
        rowKey={({ id }) => id}
        rowHeight={56}
        empty={<Face kind="empty" text={t('governance:sign.none')} />}
      >
        {children}
        {of ? (
          <Tag closable onClose={onAll}>
            {of.name}
          </Tag>
        ) : null}
        <Act
          type="primary"
          reason={denied ?? (of ? null : t('governance:sign.choose_system'))}
          run={() => setEditing('new')}
        >
          {t('governance:sign.add')}
        </Act>
      </ListPage>
      {editing === 'new' && of ? (
        <SignForm sign={null} system={of.id} onClose={() => setEditing(null)} />
      ) : null}
      {editing !== null && editing !== 'new' ? (
        <SignForm sign={editing} system={editing.system.id} onClose={() => setEditing(null)} />
      ) : null}
    </>
  )
}

/** Another photo has another address, so that no browser shows the old one. */
export function photoUrl({ id, photo }: Sign): string {
  return urlOf(`/signs/${id}/photo`, { v: photo })
}
