import { App } from 'antd'
import { useCallback } from 'react'
import { useTranslation } from 'react-i18next'

interface Question {
  title: string
  text: string
  /** What the button does, as it says. */
  ok: string
  /** It takes something away. */
  danger?: boolean
  run: () => void
}

/** Asks once more before something is done. */
export function useSure(): (question: Question) => void {
  const { modal } = App.useApp()
  const { t } = useTranslation()
  return useCallback(
    ({ title, text, ok, danger = true, run }) =>
      void modal.confirm({
        title,
        content: text,
        okText: ok,
        okButtonProps: { danger },
        cancelText: t('shared:cancel'),
        onOk: run,
      }),
    [modal, t],
  )
}
