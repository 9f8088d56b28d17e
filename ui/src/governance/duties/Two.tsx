import type { ReactNode } from 'react'

/** Two lines of a row, the second one quieter; what is too long is cut. */
export function Two({ first, second }: { first: ReactNode; second: ReactNode }) {
  return (
    <span className="duty-two">
      <span>{first}</span>
      <span className="muted">{second}</span>
    </span>
  )
}
