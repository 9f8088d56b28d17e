import type { ReactNode } from 'react'

/** Where something stands, in colour, shape and words. */
export function Mark({ kind, children }: { kind: string; children: ReactNode }) {
  return <span className={`oversight-mark oversight-${kind}`}>{children}</span>
}
