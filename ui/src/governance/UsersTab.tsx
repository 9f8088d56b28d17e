import { App, Button, Form, Input, Modal, Select, Switch } from 'antd'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { User, UserDraft, UserEdit } from '../api/types'
import { OrganisationPicker } from '../registry/OrganisationPicker'
import { Act } from '../shared/Act'
import { DataTable, type Column } from '../shared/DataTable'
import { Face, Failed, Loading } from '../shared/Face'
import { stamp } from '../shared/format'
import { useDo } from '../shared/useDo'
import { usePages } from '../shared/usePages'
import { PASSWORD_MIN } from './SetupPage'
import { useCan, useSession } from './session'

const ROLES = ['administrator', 'operator', 'viewer'] as const

export function UsersTab() {
  const { t } = useTranslation()
  const can = useCan()
  const { modal } = App.useApp()
  const me = useSession().data?.user.id
  const users = usePages<User>('users', '/users')
  const [editing, setEditing] = useState<User | 'new' | null>(null)
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
        render: (user) => user.display_name,
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
        width: '90px',
        render: (user) =>
          user.disabled ? (
            <span className="muted">○ {t('governance:user.disabled')}</span>
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
        width: '150px',
        align: 'end',
        render: (user) => (
          <span className="row-acts">
            <Act size="small" reason={denied} run={() => setEditing(user)}>
              {t('governance:user.edit')}
            </Act>
            <Act
              size="small"
              reason={denied ?? (user.id === me ? t('governance:user.self') : null)}
              run={() =>
                void modal.confirm({
                  title: t('governance:user.remove_title', { name: user.username }),
                  content: t('governance:user.remove_text'),
                  okText: t('shared:delete'),
                  okButtonProps: { danger: true },
                  cancelText: t('shared:cancel'),
                  onOk: () => remove(user),
                })
              }
            >
              {t('shared:delete')}
            </Act>
          </span>
        ),
      },
    ],
    [t, denied, me, modal, remove],
  )
  if (users.error) return <Failed error={users.error} retry={() => void users.refetch()} />
  if (users.isPending) return <Loading />
  return (
    <>
      <div className="page-bar">
        <Act type="primary" reason={denied} run={() => setEditing('new')}>
          {t('governance:user.add')}
        </Act>
      </div>
      <div className="page-fill">
        <DataTable
          label={t('governance:user.title')}
          rows={users.rows}
          columns={columns}
          rowKey={(user) => user.id}
          rowHeight={40}
          onEnd={users.onEnd}
          empty={<Face kind="empty" text={t('governance:user.none')} />}
        />
      </div>
      {editing ? (
        <UserForm user={editing === 'new' ? null : editing} onClose={() => setEditing(null)} />
      ) : null}
    </>
  )
}

interface Fields extends Omit<UserDraft, 'disabled'> {
  enabled: boolean
}

function UserForm({ user, onClose }: { user: User | null; onClose: () => void }) {
  const { t } = useTranslation()
  const [form] = Form.useForm<Fields>()
  const save = useDo({
    run: ({ enabled, password, ...rest }: Fields) => {
      const plain = { ...rest, disabled: !enabled }
      return user
        ? fetched<User>('PATCH', `/users/${user.id}`, {
            json: { ...plain, ...(password ? { password } : {}) } satisfies UserEdit,
          })
        : fetched<User>('POST', '/users', { json: { ...plain, password } satisfies UserDraft })
    },
    done: t('governance:user.saved'),
    renew: [['users']],
    then: onClose,
  })
  return (
    <Modal
      open
      title={user ? t('governance:user.edit_title', { name: user.username }) : t('governance:user.add')}
      onCancel={onClose}
      footer={[
        <Button key="cancel" onClick={onClose}>
          {t('shared:cancel')}
        </Button>,
        <Button key="save" type="primary" loading={save.isPending} onClick={form.submit}>
          {t('shared:save')}
        </Button>,
      ]}
    >
      <Form<Fields>
        form={form}
        layout="vertical"
        requiredMark={false}
        autoComplete="off"
        initialValues={{
          username: user?.username,
          display_name: user?.display_name,
          role: user?.role ?? 'operator',
          organisation: user?.organisation.id,
          enabled: !(user?.disabled ?? false),
        }}
        onFinish={(fields) => save.mutate(fields)}
      >
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
          <Select options={ROLES.map((value) => ({ value, label: t(`governance:role.${value}`) }))} />
        </Form.Item>
        <Form.Item
          name="organisation"
          label={t('governance:user.organisation')}
          extra={t('governance:user.organisation_hint')}
          rules={[{ required: true, message: t('governance:user.organisation_needed') }]}
        >
          <OrganisationPicker known={user?.organisation ?? null} />
        </Form.Item>
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
        <Form.Item name="enabled" label={t('governance:user.enabled')} valuePropName="checked">
          <Switch />
        </Form.Item>
      </Form>
    </Modal>
  )
}
