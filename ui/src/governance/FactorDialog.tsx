import { Alert, Button, Form, Input, QRCode, Spin } from 'antd'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { components } from '../api/schema'
import { Copyable } from '../shared/Copyable'
import { Failed } from '../shared/Face'
import { FormDialog } from '../shared/FormDialog'
import { useDo } from '../shared/useDo'
import { sessionKey, useSession, useSignOut } from './session'

type NewFactor = components['schemas']['NewFactorDto']

/** The code field: what phones fill in by themselves, digits only. */
export function CodeItem({ autoFocus = true }: { autoFocus?: boolean }) {
  const { t } = useTranslation()
  return (
    <Form.Item
      name="code"
      label={t('governance:factor.code')}
      rules={[
        { required: true, pattern: /^\s*\d{3}\s?\d{3}\s*$/, message: t('governance:factor.code_rule') },
      ]}
    >
      <Input
        size="large"
        autoComplete="one-time-code"
        inputMode="numeric"
        maxLength={8}
        autoFocus={autoFocus}
      />
    </Form.Item>
  )
}

/** One's own second factor: set up with an app, or taken away with a last code. */
export function FactorDialog({ onClose }: { onClose: () => void }) {
  return useSession().data?.second_factor ? <Removal onClose={onClose} /> : <SetUp onClose={onClose} />
}

function SetUp({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  // a secret is made once for each opening of the dialog: another one would turn the square code that was read void
  const made = useQuery({
    queryKey: ['factor'],
    queryFn: () => fetched<NewFactor>('POST', '/session/totp'),
    staleTime: Infinity,
    gcTime: 0,
    retry: false,
  })
  const confirm = useDo({
    run: ({ code }: { code: string }) => fetched<undefined>('PUT', '/session/totp', { json: { code } }),
    done: t('governance:factor.done'),
    renew: [sessionKey],
    then: onClose,
  })
  return (
    <FormDialog<{ code: string }>
      title={t('governance:factor.title')}
      okText={t('governance:factor.confirm')}
      isSaving={confirm.isPending}
      onClose={onClose}
      onFinish={(fields) => confirm.mutate(fields)}
    >
      <p>{t('governance:factor.lead')}</p>
      {made.data ? (
        <div className="factor">
          <QRCode value={made.data.address} size={176} color="#000000" bgColor="#ffffff" />
          <div>
            <p className="muted">{t('governance:factor.by_hand')}</p>
            <Copyable text={made.data.secret} />
          </div>
        </div>
      ) : made.error ? (
        <Failed error={made.error} retry={() => void made.refetch()} />
      ) : (
        <Spin />
      )}
      <CodeItem />
      <p className="muted">{t('governance:factor.others_end')}</p>
    </FormDialog>
  )
}

function Removal({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  const remove = useDo({
    run: ({ code }: { code: string }) =>
      fetched<undefined>('POST', '/session/totp/removal', { json: { code } }),
    done: t('governance:factor.removed'),
    renew: [sessionKey],
    then: onClose,
  })
  return (
    <FormDialog<{ code: string }>
      title={t('governance:factor.remove_title')}
      okText={t('governance:factor.remove')}
      danger
      isSaving={remove.isPending}
      onClose={onClose}
      onFinish={(fields) => remove.mutate(fields)}
    >
      <p>{t('governance:factor.remove_lead')}</p>
      <CodeItem />
    </FormDialog>
  )
}

/** Nothing else can be done before: shown in place of every page. */
export function MustEnrol() {
  const { t } = useTranslation()
  const signOut = useSignOut()
  return (
    <main className="factor-first">
      <Alert
        type="info"
        showIcon
        title={t('governance:factor.first')}
        action={
          <Button size="small" onClick={() => signOut.mutate()}>
            {t('governance:factor.sign_out')}
          </Button>
        }
      />
      <SetUp onClose={() => undefined} />
    </main>
  )
}
