import { Button, Tooltip, type ButtonProps } from 'antd'
import { useNavigate } from 'react-router'

interface ActProps extends Omit<ButtonProps, 'disabled' | 'onClick'> {
  /** Why it cannot be done now; the control then stands there disabled and says so. */
  reason?: string | null | undefined
  /** Leads to a page… */
  to?: string
  /** …or does something here. */
  run?: () => void
}

/** A button that, where it may not be used, is disabled with its reason instead of hidden. */
export function Act({ reason, to, run, children, ...rest }: ActProps) {
  const navigate = useNavigate()
  if (reason) {
    return (
      <Tooltip title={reason}>
        {/* The wrapper takes the pointer and the focus that a disabled button would not. */}
        <span
          className="act-off"
          tabIndex={0}
          role="button"
          aria-disabled="true"
          aria-label={`${typeof children === 'string' ? children : ''} — ${reason}`}
        >
          <Button {...rest} disabled tabIndex={-1} aria-hidden>
            {children}
          </Button>
        </span>
      </Tooltip>
    )
  }
  const go = to === undefined ? {} : { href: to }
  return (
    <Button
      {...rest}
      {...go}
      onClick={(event) => {
        if (to !== undefined) {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return
          event.preventDefault()
          void navigate(to)
        }
        run?.()
      }}
    >
      {children}
    </Button>
  )
}
