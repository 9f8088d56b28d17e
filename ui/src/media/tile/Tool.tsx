import { Button, Tooltip } from 'antd'
import type { ReactNode } from 'react'

interface ToolProps {
  icon?: ReactNode
  label?: string
  text: string
  run: () => void
  /** Why it may not be used. */
  reason?: string | null
  off?: boolean
  on?: boolean
}

/** One button over a picture. */
export function Tool({ icon, label, text, run, reason = null, off = false, on = false }: ToolProps) {
  return (
    <Tooltip title={reason ?? text} mouseEnterDelay={0.4}>
      <Button
        type="text"
        size="small"
        icon={icon}
        aria-label={reason === null ? text : `${text} — ${reason}`}
        aria-pressed={on}
        className={on ? 'tool-on' : undefined}
        disabled={off || reason !== null}
        onClick={run}
        onDoubleClick={(event) => event.stopPropagation()}
      >
        {label}
      </Button>
    </Tooltip>
  )
}
