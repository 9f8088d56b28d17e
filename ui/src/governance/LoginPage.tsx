import { Alert, Button, Form, Input } from 'antd'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Navigate, useSearchParams } from 'react-router'
import { ApiError, fetched } from '../api/client'
import type { Ways } from '../api/types'
import { CodeItem } from './FactorDialog'
import { Threshold } from './Threshold'
import { useSession, useSignIn } from './session'
import { said } from '../said/said'

interface Fields {
  username: string
  password: string
  code?: string
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
  const ways = useQuery({
    queryKey: ['ways'],
    staleTime: Infinity,
    queryFn: ({ signal }) => fetched<Ways>('GET', '/sign-in', { signal }),
  })
  const failed = search.get('failed')
  const error = signIn.error
  const wantsCode = error instanceof ApiError && error.kind === 'second_factor_needed'
  const wrong = error instanceof ApiError && error.status === 401 && !wantsCode
  const [asksCode, setAsksCode] = useState(false)
  if (wantsCode && !asksCode) setAsksCode(true)
  if (session.data) return <Navigate to={safeNext(search.get('next'))} replace />
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
        {asksCode ? <CodeItem /> : null}
        {error ? (
          <Alert
            type={wantsCode && !signIn.variables.code ? 'info' : 'error'}
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
        {failed === null || error ? null : (
          <Alert
            type="warning"
            showIcon
            style={{ marginBottom: 16 }}
            title={t(`governance:login.failed.${failed}`, {
              defaultValue: t('governance:login.failed.other'),
            })}
          />
        )}
        <Button type="primary" htmlType="submit" size="large" block loading={signIn.isPending}>
          {t('governance:login.submit')}
        </Button>
        {ways.data?.oidc === undefined || ways.data.oidc === null ? null : (
          <Button
            block
            size="large"
            style={{ marginTop: 12 }}
            href={`/api/v1/session/oidc?next=${encodeURIComponent(safeNext(search.get('next')))}`}
          >
            {ways.data.oidc || t('governance:login.oidc')}
          </Button>
        )}
      </Form>
    </Threshold>
  )
}
