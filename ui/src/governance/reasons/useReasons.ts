import { createContext, useContext, useEffect, useRef } from 'react'
import type { ApiError } from '../../api/client'
import type { Action, Named, Purpose } from '../../api/types'
import { useCan } from '../session'
import { usePurpose } from './purposes'

/** What somebody is about to take along, or to see behind its masks: these points, this stretch of time. */
export interface Wanted {
  action?: Extract<Action, 'export' | 'unmask' | 'delete' | 'view_playback'>
  points: readonly Named[]
  start: number
  end: number
}

export interface Reasons {
  /** Lets the person state a purpose; true once there is one. Who asks meanwhile waits for the same answer. */
  state: (ask?: { said?: string; from?: Purpose }) => Promise<boolean>
  /**
   * Does it. Where the answer is that a purpose or a second person is missing, asks for that and does it again. Null:
   * the person left it, or waits for an approval. Other errors pass.
   */
  insist: <T>(act: () => Promise<T>, wanted: Wanted | null) => Promise<T | null>
  /** Lets the person ask a second one; true where it may be used at once. */
  approve: (wanted: Wanted) => Promise<boolean>
}

/** Without the shell around there is nobody to ask: what is refused stays refused. */
export const ReasonsContext = createContext<Reasons>({
  state: () => Promise.resolve(false),
  insist: (act) => act(),
  approve: () => Promise.resolve(false),
})

/** The one way to what a refusal says is missing. */
export const useReasons = (): Reasons => useContext(ReasonsContext)

export const lacksPurpose = (kind: string): boolean => kind === 'purpose_needed'
export const lacksApproval = (kind: string): boolean => kind === 'approval_needed'

/**
 * For a picture that is refused: asks for the purpose that it lacks, once, and goes on with `again` as soon as one is
 * stated, wherever that was done. Returns how to ask another time; null where no purpose would help.
 */
export function useGoesOn(refused: Pick<ApiError, 'kind' | 'reason'> | null, again: () => void) {
  const { state } = useReasons()
  const can = useCan()
  const purpose = usePurpose()?.id ?? ''
  const lacks = can.open_purpose && refused !== null && lacksPurpose(refused.kind)
  const said = refused?.reason ?? ''
  const insufficient = useRef<string | null>(null)
  const declined = useRef(false)
  const retry = useRef(again)
  useEffect(() => {
    retry.current = again
  })
  useEffect(() => {
    if (!lacks) {
      insufficient.current = null
    } else if (insufficient.current === null) {
      insufficient.current = purpose
      if (!declined.current) void state({ said }).then((stated) => (declined.current = !stated))
    } else if (purpose !== '' && purpose !== insufficient.current) {
      insufficient.current = purpose
      retry.current()
    }
  }, [lacks, purpose, said, state])
  return lacks ? () => void state({ said }) : null
}
