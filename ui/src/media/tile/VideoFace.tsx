import type { ReactNode } from 'react'

export type VideoFaceKind = 'empty' | 'loading' | 'stale' | 'forbidden' | 'failed'

const marks: Record<VideoFaceKind, ReactNode> = {
  empty: <path d="M3.5 6.5h12v11h-12zM15.5 10.5l5-3v9l-5-3" />,
  loading: (
    <>
      <path d="M12 3a9 9 0 1 0 9 9" opacity="0.25" />
      <path className="vface-turn" d="M12 3a9 9 0 0 1 9 9" />
    </>
  ),
  stale: <path d="M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM12 7.5V12l3 2" />,
  forbidden: <path d="M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 15v2" />,
  failed: <path d="M12 4l9 16H3zM12 10v4M12 17v.5" />,
}

interface VideoFaceProps {
  kind: VideoFaceKind
  /** One sentence. */
  text: string
  detail?: string | null | undefined
  /** One thing to do; more only where the first may not help. */
  children?: ReactNode
}

/** What stands in a tile instead of a picture. */
export function VideoFace({ kind, text, detail, children }: VideoFaceProps) {
  return (
    <div className={`vface vface-${kind}`} role={kind === 'failed' ? 'alert' : 'status'}>
      <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden>
        {marks[kind]}
      </svg>
      <p>{text}</p>
      {detail ? <small>{detail}</small> : null}
      {children ? <div className="vface-acts">{children}</div> : null}
    </div>
  )
}
