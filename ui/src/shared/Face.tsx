import { Button } from 'antd'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { ApiError } from '../api/client'
import { ago } from './format'
import './face.css'
import { useNow } from './useNow'
import { said } from '../said/said'

export type FaceKind = 'empty' | 'loading' | 'forbidden' | 'failed'

const marks: Record<FaceKind, ReactNode> = {
  empty: <path d="M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8" />,
  loading: (
    <>
      <path d="M12 3a9 9 0 1 0 9 9" opacity="0.25" />
      <path d="M12 3a9 9 0 0 1 9 9" />
    </>
  ),
  forbidden: <path d="M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 15v2" />,
  failed: <path d="M12 4l9 16H3zM12 10v4M12 17v.5" />,
}

interface FaceProps {
  kind: FaceKind
  /** One sentence. */
  text: string
  detail?: string | null | undefined
  /** One thing to do. */
  action?: ReactNode
}

export function Face({ kind, text, detail, action }: FaceProps) {
  return (
    <div className={`face face-${kind}`} role={kind === 'failed' ? 'alert' : 'status'}>
      <svg
        className="face-mark"
        viewBox="0 0 24 24"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        aria-hidden
      >
        {marks[kind]}
      </svg>
      <p className="face-text">{text}</p>
      {detail ? <p className="face-detail">{detail}</p> : null}
      {action ? <div className="face-action">{action}</div> : null}
    </div>
  )
}

/** Waiting: one sentence, and nothing to do but wait. */
export function Loading({ text }: { text?: string }) {
  const { t } = useTranslation()
  return <Face kind="loading" text={text ?? t('shared:face.loading')} />
}

/** What went wrong, told by what the server answered; 403 has a face of its own. */
export function Failed({ error, retry }: { error: unknown; retry?: (() => void) | undefined }) {
  const { t } = useTranslation()
  const again = retry ? <Button onClick={retry}>{t('shared:face.retry')}</Button> : null
  if (!(error instanceof ApiError)) {
    return <Face kind="failed" text={t('shared:face.broken')} detail={String(error)} action={again} />
  }
  if (error.status === 403) {
    return (
      <Face
        kind="forbidden"
        text={said(error.reason)}
        detail={said(error.hint) || t('shared:face.ask_admin')}
        action={again}
      />
    )
  }
  if (error.status === 404) {
    return <Face kind="empty" text={t('shared:face.missing')} detail={said(error.hint)} action={again} />
  }
  if (error.kind === 'network') {
    return <Face kind="failed" text={t('shared:face.network')} detail={said(error.reason)} action={again} />
  }
  return <Face kind="failed" text={said(error.reason)} detail={said(error.hint)} action={again} />
}

/** Something is shown, but it is old: says since when, and offers to ask again. */
export function Stale({ since, retry }: { since: number; retry: () => void }) {
  const { t } = useTranslation()
  const now = useNow(1_000)
  return (
    <div className="stale" role="status">
      <span>{t('shared:face.stale', { age: ago((now - since) / 1000, t) })}</span>
      <Button size="small" onClick={retry}>
        {t('shared:face.retry')}
      </Button>
    </div>
  )
}
