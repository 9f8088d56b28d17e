import { Alert, Button, Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import { Navigate, useSearchParams } from 'react-router'
import { ApiError } from '../api/client'
import { Threshold } from './Threshold'
import { useSession, useSignIn } from './session'
import { said } from '../said/said'

interface Fields {
  username: string
  password: string
}

/** Only paths of this product: `//elsewhere` and full addresses are not followed. */
export function safeNext(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) ? next : '/'
}

export function LoginPage() {
  const { t } = useTranslation()
  const [search] = useSearchParams()
  const session = useSession()
  const signIn = useSignIn()
  if (session.data) return <Navigate to={safeNext(search.get('next'))} replace />
  const error = signIn.error
  const wrong = error instanceof ApiError && error.status === 401
  return (
    <Threshold title={t('governance:login.title')} lead={t('governance:login.lead')}>
      <Form<Fields> layout="vertical" requiredMark={false} onFinish={(fields) => signIn.mutate(fields)}>
        <Form.Item
          name="username"
          label={t('governance:login.username')}
          rules={[{ required: true, message: t('governance:login.username_needed') }]}
        >
          <Input size="large" autoComplete="username" autoFocus />
        </Form.Item>
        <Form.Item
          name="password"
          label={t('governance:login.password')}
          rules={[{ required: true, message: t('governance:login.password_needed') }]}
        >
          <Input.Password size="large" autoComplete="current-password" />
        </Form.Item>
        {error ? (
          <Alert
            type="error"
            showIcon
            style={{ marginBottom: 16 }}
            title={
              wrong
                ? t('governance:login.wrong')
                : error instanceof ApiError && error.kind === 'network'
                  ? t('shared:face.network')
                  : said(error.message)
            }
            description={error instanceof ApiError ? said(error.hint) : null}
          />
        ) : null}
        <Button type="primary" htmlType="submit" size="large" block loading={signIn.isPending}>
          {t('governance:login.submit')}
        </Button>
      </Form>
    </Threshold>
  )
}
