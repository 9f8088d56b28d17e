import { useMutation, useQuery } from '@tanstack/react-query'
import { Alert, Button, Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useParams } from 'react-router'
import { ApiError, fetched } from '../api/client'
import type { SetupState } from '../api/types'
import { paths } from '../app/paths'
import { Face, Failed, Loading } from '../shared/Face'
import { Threshold } from './Threshold'
import { said } from '../said/said'

interface Fields {
  username: string
  password: string
  again: string
}

export const PASSWORD_MIN = 10

/** The first person's page: the server prints a one-time address, whoever opens it makes the first account. */
export function SetupPage() {
  const { t } = useTranslation()
  const { token = '' } = useParams()
  const navigate = useNavigate()
  const path = `/setup/${encodeURIComponent(token)}`
  const state = useQuery({
    queryKey: ['setup', token],
    queryFn: ({ signal }) => fetched<SetupState>('GET', path, { signal }),
  })
  const create = useMutation({
    mutationFn: ({ username, password }: Fields) =>
      fetched<undefined>('POST', path, { json: { username, password } }),
    onSuccess: () => navigate(paths.login()),
  })
  const gone = state.data?.valid === false || (state.error instanceof ApiError && state.error.status === 404)
  const role = state.data?.role
  const lead = role
    ? t('governance:setup.lead_role', { role: t(`governance:role.${role}`) })
    : t('governance:setup.lead')
  return (
    <Threshold title={t('governance:setup.title')} lead={lead}>
      {state.isPending ? (
        <Loading />
      ) : gone ? (
        <Face
          kind="empty"
          text={t('governance:setup.gone')}
          action={<Link to={paths.login()}>{t('governance:setup.to_login')}</Link>}
        />
      ) : state.error ? (
        <Failed error={state.error} retry={() => void state.refetch()} />
      ) : (
        <Form<Fields> layout="vertical" requiredMark={false} onFinish={(fields) => create.mutate(fields)}>
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
            extra={t('governance:setup.password_rule', { n: PASSWORD_MIN })}
            rules={[
              {
                required: true,
                min: PASSWORD_MIN,
                message: t('governance:setup.password_rule', { n: PASSWORD_MIN }),
              },
            ]}
          >
            <Input.Password size="large" autoComplete="new-password" />
          </Form.Item>
          <Form.Item
            name="again"
            label={t('governance:setup.again')}
            dependencies={['password']}
            rules={[
              ({ getFieldValue }) => ({
                validator: (_, value) =>
                  value === getFieldValue('password')
                    ? Promise.resolve()
                    : Promise.reject(new Error(t('governance:setup.differs'))),
              }),
            ]}
          >
            <Input.Password size="large" autoComplete="new-password" />
          </Form.Item>
          {create.error ? (
            <Alert type="error" showIcon style={{ marginBottom: 16 }} title={said(create.error.message)} />
          ) : null}
          <Button type="primary" htmlType="submit" size="large" block loading={create.isPending}>
            {t('governance:setup.submit')}
          </Button>
        </Form>
      )}
    </Threshold>
  )
}
