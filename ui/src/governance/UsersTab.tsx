import { Alert, Checkbox, Form, Input, Select, Switch } from 'antd'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { Named, User, UserDraft, UserEdit } from '../api/types'
import { OrganisationPicker } from '../registry/OrganisationPicker'
import { Act } from '../shared/Act'
import type { Column } from '../shared/DataTable'
import { Face } from '../shared/Face'
import { FormDialog } from '../shared/FormDialog'
import { stamp } from '../shared/format'
import { ListPage } from '../shared/ListPage'
import { useDo } from '../shared/useDo'
import { useNow } from '../shared/useNow'
import { usePages } from '../shared/usePages'
import { useSure } from '../shared/useSure'
import { said } from '../said/said'
import { PASSWORD_MIN } from './SetupPage'
import { DayItem } from './rights/DayItem'
import { dayOf, endOfDay } from './rights/grants'
import { GrantsDialog } from './rights/GrantsDialog'
import { useCan, useSession } from './session'
import { EscortPicker } from './sessions/EscortPicker'
import { SessionsDialog } from './sessions/SessionsDialog'
import { TokensDialog } from './tokens/TokensDialog'
import './users.css'

const USERS = ['operator', 'officer', 'investigator', 'viewer', 'contractor'] as const
const ADMINISTRATORS = ['administrator', 'security_administrator', 'audit_administrator'] as const

export function UsersTab() {
  const { t } = useTranslation()
  const can = useCan()
  const sure = useSure()
  const now = useNow(60_000)
  const me = useSession().data?.user.id
  const users = usePages<User>('users', '/users')
  const [editing, setEditing] = useState<User | 'new' | null>(null)
  const [granting, setGranting] = useState<User | null>(null)
  const [holder, setHolder] = useState<Named | null>(null)
  const [signedIn, setSignedIn] = useState<Named | null>(null)
  const { mutate: remove } = useDo({
    run: (user: User) => fetched<undefined>('DELETE', `/users/${user.id}`),
    done: t('governance:user.removed'),
    renew: [['users']],
  })
  const denied = can.manage_users ? null : t('shared:not_allowed')
  const columns = useMemo<Column<User>[]>(
    () => [
      {
        key: 'username',
        title: t('governance:login.username'),
        width: 'minmax(120px, 1fr)',
        render: (user) => <code>{user.username}</code>,
      },
      {
        key: 'name',
        title: t('governance:user.name'),
        width: 'minmax(120px, 1fr)',
        render: (user) =>
          user.is_service ? (
            <>
              <span className="muted">
                {t(user.is_partner ? 'governance:user.partner_mark' : 'governance:user.service_mark')}
              </span>{' '}
              <span title={user.display_name}>{user.display_name}</span>
            </>
          ) : (
            user.display_name
          ),
      },
      {
        key: 'role',
        title: t('governance:user.role'),
        width: '130px',
        render: (user) => t(`governance:role.${user.role}`, { defaultValue: user.role }),
      },
      {
        key: 'organisation',
        title: t('governance:user.organisation'),
        width: 'minmax(160px, 1.5fr)',
        render: (user) => user.organisation.name,
      },
      {
        key: 'state',
        title: t('governance:user.account'),
        width: '130px',
        render: (user) =>
          user.suspended ? (
            <span
              className="user-suspended"
              title={t('governance:user.suspended_by', { why: said(user.suspended) })}
            >
              ● {t('governance:user.suspended')}
            </span>
          ) : user.ends_at && Date.parse(user.ends_at) <= now ? (
            <span className="muted">○ {t('governance:user.ended')}</span>
          ) : user.disabled ? (
            <span className="muted">○ {t('governance:user.disabled')}</span>
          ) : user.ends_at ? (
            t('governance:user.until', { day: dayOf(Date.parse(user.ends_at) - 1) })
          ) : (
            t('governance:user.enabled')
          ),
      },
      {
        key: 'seen',
        title: t('governance:user.last_seen'),
        width: '170px',
        render: (user) =>
          user.last_seen ? (
            stamp(user.last_seen)
          ) : (
            <span className="muted">{t('governance:user.never')}</span>
          ),
      },
      {
        key: 'acts',
        title: <span className="visually-hidden">{t('governance:user.acts')}</span>,
        width: '290px',
        align: 'end',
        render: (user) => (
          <span className="row-acts">
            <Act size="small" reason={denied} run={() => setEditing(user)}>
              {t('governance:user.edit')}
            </Act>
            <Act
              size="small"
              reason={
                denied ??
                (user.id === me
                  ? t('governance:grant.self')
                  : isAdministrator(user)
                    ? t('governance:grant.administrator')
                    : null)
              }
              run={() => setGranting(user)}
            >
              {t('governance:grant.open')}
            </Act>
            {user.is_service ? (
              <Act size="small" reason={denied} run={() => setHolder({ id: user.id, name: user.username })}>
                {t('governance:token.short')}
              </Act>
            ) : (
              <Act size="small" reason={denied} run={() => setSignedIn({ id: user.id, name: user.username })}>
                {t('governance:sessions.short')}
              </Act>
            )}
            <Act
              size="small"
              reason={denied ?? (user.id === me ? t('governance:user.self') : null)}
              run={() =>
                sure({
                  title: t('governance:user.remove_title', { name: user.username }),
                  text: t('governance:user.remove_text'),
                  ok: t('shared:delete'),
                  run: () => remove(user),
                })
              }
            >
              {t('shared:delete')}
            </Act>
          </span>
        ),
      },
    ],
    [t, denied, me, sure, remove, now],
  )
  return (
    <>
      <ListPage
        list={users}
        label={t('governance:user.title')}
        columns={columns}
        rowKey={(user) => user.id}
        rowHeight={40}
        empty={<Face kind="empty" text={t('governance:user.none')} />}
      >
        <Act type="primary" reason={denied} run={() => setEditing('new')}>
          {t('governance:user.add')}
        </Act>
      </ListPage>
      {editing ? (
        <UserForm user={editing === 'new' ? null : editing} onClose={() => setEditing(null)} />
      ) : null}
      {holder ? <TokensDialog of={holder} onClose={() => setHolder(null)} /> : null}
      {signedIn ? <SessionsDialog of={signedIn} onClose={() => setSignedIn(null)} /> : null}
      {granting ? <GrantsDialog user={granting} onClose={() => setGranting(null)} /> : null}
    </>
  )
}

function isAdministrator(user: User): boolean {
  return ADMINISTRATORS.some((one) => one === user.role)
}

interface Fields extends Omit<UserDraft, 'disabled' | 'ends_at'> {
  enabled: boolean
  last_day: string
}

function UserForm({ user, onClose }: { user: User | null; onClose: () => void }) {
  const { t } = useTranslation()
  const sure = useSure()
  const me = useSession().data?.user.id
  const [form] = Form.useForm<Fields>()
  const chosen = Form.useWatch<boolean | undefined>('is_service', form)
  const role = Form.useWatch<string | undefined>('role', form)
  const isService = user?.is_service ?? chosen ?? false
  const reset = useDo({
    run: ({ id }: User) => fetched<undefined>('DELETE', `/users/${id}/totp`),
    done: t('governance:user.factor_done'),
  })
  const unlink = useDo({
    run: ({ id }: User) =>
      fetched<User>('PATCH', `/users/${id}`, { json: { unlink: true } satisfies UserEdit }),
    done: t('governance:user.unlinked'),
    renew: [['users']],
    then: onClose,
  })
  const save = useDo({
    run: ({ enabled, password, last_day, has_past, is_service, is_partner, ...rest }: Fields) => {
      const plain = { ...rest, disabled: !enabled, ends_at: endOfDay(last_day, user?.ends_at) }
      return user
        ? fetched<User>('PATCH', `/users/${user.id}`, {
            json: { ...plain, ...(password ? { password } : {}) } satisfies UserEdit,
          })
        : fetched<User>('POST', '/users', {
            json: {
              ...plain,
              has_past,
              is_service,
              is_partner: is_service && (is_partner ?? false),
              password: password ?? '',
            } satisfies UserDraft,
          })
    },
    done: t('governance:user.saved'),
    renew: [['users']],
    then: onClose,
  })
  return (
    <FormDialog<Fields>
      form={form}
      title={user ? t('governance:user.edit_title', { name: user.username }) : t('governance:user.add')}
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={{
        username: user?.username,
        display_name: user?.display_name,
        role: user?.role ?? 'operator',
        organisation: user?.organisation.id,
        enabled: !(user?.disabled ?? false),
        last_day: user?.ends_at ? dayOf(Date.parse(user.ends_at) - 1) : '',
        has_past: false,
        is_service: user?.is_service ?? false,
        is_partner: false,
        escort: user?.escort ?? '',
      }}
      onFinish={(fields) => save.mutate(fields)}
    >
      {user?.suspended ? (
        <Alert
          style={{ marginBottom: 16 }}
          type="warning"
          showIcon
          title={t('governance:user.suspended_by', { why: said(user.suspended) })}
          description={t('governance:user.lift')}
        />
      ) : null}
      <Form.Item
        name="username"
        label={t('governance:login.username')}
        rules={[{ required: true, message: t('governance:login.username_needed') }]}
      >
        <Input disabled={user !== null} maxLength={64} autoFocus={user === null} />
      </Form.Item>
      <Form.Item
        name="display_name"
        label={t('governance:user.name')}
        rules={[{ required: true, whitespace: true, message: t('governance:user.name_needed') }]}
      >
        <Input maxLength={64} />
      </Form.Item>
      <Form.Item name="role" label={t('governance:user.role')}>
        <Select
          options={[
            {
              label: t('governance:user.others'),
              options: USERS.map((value) => ({ value, label: t(`governance:role.${value}`) })),
            },
            {
              label: t('governance:user.administrators'),
              options: ADMINISTRATORS.map((value) => ({ value, label: t(`governance:role.${value}`) })),
            },
          ]}
          optionRender={({ value, label }) => (
            <>
              {label}
              {ADMINISTRATORS.some((one) => one === value) ? (
                <div className="user-may">{t(`governance:user.may.${value}`)}</div>
              ) : null}
            </>
          )}
        />
      </Form.Item>
      <Form.Item
        name="organisation"
        label={t('governance:user.organisation')}
        extra={t('governance:user.organisation_hint')}
        rules={[{ required: true, message: t('governance:user.organisation_needed') }]}
      >
        <OrganisationPicker known={user?.organisation ?? null} />
      </Form.Item>
      {user ? null : (
        <Form.Item name="is_service" valuePropName="checked" extra={t('governance:user.service_hint')}>
          <Checkbox>{t('governance:user.service')}</Checkbox>
        </Form.Item>
      )}
      {user === null && isService ? (
        <Form.Item name="is_partner" valuePropName="checked" extra={t('governance:user.partner_hint')}>
          <Checkbox>{t('governance:user.partner')}</Checkbox>
        </Form.Item>
      ) : null}
      {isService ? null : (
        <Form.Item
          name="password"
          label={user ? t('governance:user.new_password') : t('governance:login.password')}
          extra={
            user
              ? t('governance:user.keep_password')
              : t('governance:setup.password_rule', { n: PASSWORD_MIN })
          }
          rules={[
            { required: user === null, message: t('governance:login.password_needed') },
            { min: PASSWORD_MIN, message: t('governance:setup.password_rule', { n: PASSWORD_MIN }) },
          ]}
        >
          <Input.Password autoComplete="new-password" />
        </Form.Item>
      )}
      {role === 'contractor' ? (
        <Form.Item name="escort" label={t('governance:user.escort')} extra={t('governance:user.escort_hint')}>
          <EscortPicker />
        </Form.Item>
      ) : null}
      <DayItem
        name="last_day"
        label={t('governance:user.last_day')}
        extra={t('governance:user.last_day_hint')}
        isNeeded={role === 'contractor'}
      />
      {user ? null : (
        <Form.Item name="has_past" valuePropName="checked" extra={t('governance:user.has_past_hint')}>
          <Checkbox>{t('governance:user.has_past')}</Checkbox>
        </Form.Item>
      )}
      {user && user.id !== me && !user.is_service ? (
        <Form.Item label={t('governance:factor.title')}>
          <Act
            run={() =>
              sure({
                title: t('governance:user.factor_title', { name: user.username }),
                text: t('governance:user.factor_text'),
                ok: t('governance:factor.reset'),
                run: () => reset.mutate(user),
              })
            }
          >
            {t('governance:factor.reset')}
          </Act>
        </Form.Item>
      ) : null}
      {user?.linked ? (
        <Form.Item label={t('governance:user.linked')}>
          <Act
            run={() =>
              sure({
                title: t('governance:user.unlink_title', { name: user.username }),
                text: t('governance:user.unlink_text'),
                ok: t('governance:user.unlink'),
                run: () => unlink.mutate(user),
              })
            }
          >
            {t('governance:user.unlink')}
          </Act>
        </Form.Item>
      ) : null}
      <Form.Item name="enabled" label={t('governance:user.enabled')} valuePropName="checked">
        <Switch />
      </Form.Item>
    </FormDialog>
  )
}
