import { useQuery } from '@tanstack/react-query'
import { Alert, Form, Input, InputNumber, Modal, Select } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Named, OpenSession, Page, SessionCreated, TokenDraft } from '../../api/types'
import { Act } from '../../shared/Act'
import { Copyable } from '../../shared/Copyable'
import { Failed, Face, Loading } from '../../shared/Face'
import { stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { useSure } from '../../shared/useSure'
import { ABILITIES } from '../session'
import './tokens.css'

const MONTH = 30
const YEAR = 366

interface Fields {
  name: string
  days: number
  actions: TokenDraft['actions']
}

/** Tokens for programs: one's own, or those of a program's account. A new one is shown this once. */
export function TokensDialog({ of, onClose }: { of: Named | null; onClose: () => void }) {
  const { t } = useTranslation()
  const sure = useSure()
  const [made, setMade] = useState<string | null>(null)
  const [form] = Form.useForm<Fields>()
  const key = ['tokens', of?.id ?? null]
  const tokens = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      fetched<Page<OpenSession>>('GET', of ? '/sessions' : '/tokens', {
        query: of ? { user: of.id, limit: 500 } : { limit: 500 },
        signal,
      }),
  })
  const make = useDo({
    run: ({ name, days, actions }: Fields) =>
      fetched<SessionCreated>('POST', of ? `/users/${of.id}/tokens` : '/tokens', {
        json: { name, days, actions: actions?.length ? actions : null } satisfies TokenDraft,
      }),
    renew: [key],
    then: ({ token }) => {
      setMade(token)
      form.resetFields()
    },
  })
  const revoke = useDo({
    run: ({ id }: OpenSession) => fetched<undefined>('DELETE', `/sessions/${id}`),
    done: t('governance:token.revoked'),
    renew: [key],
  })
  const rows = tokens.data?.items.filter(({ kind }) => kind === 'api_token') ?? []
  return (
    <Modal
      open
      width={720}
      footer={null}
      title={of ? t('governance:token.of', { name: of.name }) : t('governance:token.title')}
      onCancel={onClose}
    >
      <p className="muted">{t('governance:token.lead')}</p>
      {tokens.error ? <Failed error={tokens.error} retry={() => void tokens.refetch()} /> : null}
      {tokens.isPending ? <Loading /> : null}
      {tokens.data && rows.length === 0 ? <Face kind="empty" text={t('governance:token.none')} /> : null}
      <ul className="tokens" aria-label={t('governance:token.title')}>
        {rows.map((row) => (
          <li key={row.id}>
            <b>{row.name}</b>
            <span className="muted">
              {row.actions
                ? row.actions.map((action) => t(`governance:action.${action}`)).join('、')
                : t('governance:token.everything')}
              <br />
              {t('governance:token.times', { made: stamp(row.created_at), ends: stamp(row.expires_at) })}
            </span>
            <Act
              size="small"
              run={() =>
                sure({
                  title: t('governance:token.revoke_title', { name: row.name }),
                  text: t('governance:token.revoke_text'),
                  ok: t('governance:token.revoke'),
                  run: () => revoke.mutate(row),
                })
              }
            >
              {t('governance:token.revoke')}
            </Act>
          </li>
        ))}
      </ul>
      {made ? (
        <Alert
          type="success"
          showIcon
          closable={{ onClose: () => setMade(null) }}
          title={t('governance:token.once')}
          description={<Copyable text={made} />}
        />
      ) : null}
      <Form<Fields>
        form={form}
        layout="vertical"
        requiredMark={false}
        className="token-form"
        initialValues={{ days: MONTH, actions: [] }}
        onFinish={(fields) => make.mutate(fields)}
      >
        <Form.Item
          name="name"
          label={t('governance:token.name')}
          rules={[{ required: true, whitespace: true, message: t('governance:token.name_needed') }]}
        >
          <Input maxLength={64} />
        </Form.Item>
        <Form.Item name="days" label={t('governance:token.days')} rules={[{ required: true }]}>
          <InputNumber min={1} max={YEAR} precision={0} />
        </Form.Item>
        <Form.Item name="actions" label={t('governance:token.actions')}>
          <Select
            mode="multiple"
            showSearch={{ optionFilterProp: 'label' }}
            placeholder={t('governance:token.everything')}
            options={ABILITIES.map((value) => ({ value, label: t(`governance:action.${value}`) }))}
          />
        </Form.Item>
        <Act type="primary" htmlType="submit" loading={make.isPending}>
          {t('governance:token.make')}
        </Act>
      </Form>
    </Modal>
  )
}
