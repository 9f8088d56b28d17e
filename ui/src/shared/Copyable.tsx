import { CheckOutlined, CopyOutlined } from '@ant-design/icons'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import './copyable.css'

/** The clipboard API needs HTTPS; a control room on plain HTTP still gets its copy. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const field = document.createElement('textarea')
    field.value = text
    document.body.append(field)
    field.select()
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without HTTPS
    const done = document.execCommand('copy')
    field.remove()
    return done
  }
}

/** A code in monospace that one click copies. */
export function Copyable({ text }: { text: string }) {
  const { t } = useTranslation()
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return undefined
    const timer = setTimeout(() => setDone(false), 1_500)
    return () => clearTimeout(timer)
  }, [done])
  return (
    <button
      type="button"
      className="copyable"
      title={done ? t('shared:copied') : t('shared:copy')}
      onClick={(event) => {
        event.stopPropagation()
        void copy(text).then(setDone)
      }}
    >
      <code>{text}</code>
      {done ? <CheckOutlined aria-label={t('shared:copied')} /> : <CopyOutlined aria-hidden />}
    </button>
  )
}
