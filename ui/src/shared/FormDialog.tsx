import { Form, Modal, type FormInstance } from 'antd'
import { useEffect, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

interface FormDialogProps<F> {
  title: string
  /** What the button says; usually that it saves. */
  okText?: string
  danger?: boolean
  width?: number
  isSaving: boolean
  /** Whether there is something to send yet. */
  isReady?: boolean
  onClose: () => void
  onFinish: (fields: F) => void
  initialValues?: Record<string, unknown>
  /** Only for who must see what is being filled in. */
  form?: FormInstance<F>
  children: ReactNode
}

/** What had the focus before has it again afterwards. */
function useFocusBack(): void {
  const [before] = useState(() => document.activeElement)
  useEffect(
    () => () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    },
    [before],
  )
}

/** The one form that opens over a page: Enter sends it, Escape leaves it. */
export function FormDialog<F>({
  title,
  okText,
  danger = false,
  width = 520,
  isSaving,
  isReady = true,
  onClose,
  onFinish,
  initialValues = {},
  form,
  children,
}: FormDialogProps<F>) {
  const { t } = useTranslation()
  useFocusBack()
  return (
    <Modal
      open
      title={title}
      width={width}
      okText={okText ?? t('shared:save')}
      okButtonProps={{ htmlType: 'submit', danger, disabled: !isReady }}
      cancelText={t('shared:cancel')}
      confirmLoading={isSaving}
      onCancel={onClose}
      // around the buttons too, so that Enter in a field presses the one that sends
      modalRender={(dialog) => (
        <Form<F>
          {...(form ? { form } : {})}
          layout="vertical"
          requiredMark={false}
          autoComplete="off"
          initialValues={initialValues}
          onFinish={onFinish}
        >
          {dialog}
        </Form>
      )}
    >
      {children}
    </Modal>
  )
}
