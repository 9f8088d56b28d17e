import { useMutation, useQueryClient, type QueryKey } from '@tanstack/react-query'
import { App } from 'antd'
import { useTranslation } from 'react-i18next'
import { ApiError } from '../api/client'
import { said } from '../said/said'

interface Doing<V, R> {
  run: (value: V) => Promise<R>
  /** Said once it is done. */
  done?: string
  /** What to read again afterwards. */
  renew?: readonly QueryKey[]
  then?: (result: R, value: V) => void
  /** Shows itself why it was not done: true where nothing more is to be said. */
  failed?: (error: unknown) => boolean
}

/** One act on the server: says that it was done, or in the server's words why not, and renews what it changed. */
export function useDo<V, R>({ run, done, renew = [], then, failed }: Doing<V, R>) {
  const client = useQueryClient()
  const { message } = App.useApp()
  const { t } = useTranslation()
  return useMutation({
    mutationFn: run,
    onSuccess: (result, value) => {
      if (done) void message.success(done)
      for (const queryKey of renew) void client.invalidateQueries({ queryKey })
      then?.(result, value)
    },
    onError: (error) => {
      if (failed?.(error)) return
      if (!(error instanceof ApiError)) void message.error(String(error))
      else if (error.kind === 'network') void message.error(t('shared:face.network'))
      else void message.error([said(error.reason), said(error.hint)].filter(Boolean).join(' — '), 6)
    },
  })
}
