import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { ApiError } from '../../api/client'
import type { Purpose } from '../../api/types'
import { useCan } from '../session'
import { ApprovalDialog } from './ApprovalDialog'
import { PurposeDialog } from './PurposeDialog'
import { lacksApproval, lacksPurpose, ReasonsContext, type Reasons, type Wanted } from './useReasons'
import './reasons.css'

interface Question {
  said?: string | undefined
  from?: Purpose | undefined
  settle: (stated: boolean) => void
}
interface Request {
  wanted: Wanted
  settle: (usable: boolean) => void
}

/** Around the pages: asks for purposes and second persons where an answer says that they are missing. */
export function ReasonsProvider({ children }: { children: ReactNode }) {
  const can = useCan()
  const [question, setQuestion] = useState<Question | null>(null)
  const [request, setRequest] = useState<Request | null>(null)
  const asked = useRef<Promise<boolean> | null>(null)
  const leave = useRef<(() => void) | null>(null)
  useEffect(() => () => leave.current?.(), [])

  const state = useCallback<Reasons['state']>((ask = {}) => {
    asked.current ??= new Promise((resolve) => {
      const settle = (stated: boolean) => {
        asked.current = leave.current = null
        setQuestion(null)
        resolve(stated)
      }
      leave.current = () => settle(false)
      setQuestion({ ...ask, settle })
    })
    return asked.current
  }, [])
  const approve = useCallback(
    (wanted: Wanted) =>
      new Promise<boolean>((resolve) =>
        setRequest({
          wanted,
          settle: (usable) => {
            setRequest(null)
            resolve(usable)
          },
        }),
      ),
    [],
  )
  const reasons = useMemo<Reasons>(
    () => ({
      state,
      approve,
      insist: async (act, wanted) => {
        for (;;) {
          try {
            return await act()
          } catch (error) {
            if (!(error instanceof ApiError)) throw error
            if (can.open_purpose && lacksPurpose(error.kind)) {
              if (!(await state({ said: error.reason }))) return null
            } else if (can.ask_approval && wanted !== null && lacksApproval(error.kind)) {
              if (!(await approve(wanted))) return null
            } else throw error
          }
        }
      },
    }),
    [state, approve, can.open_purpose, can.ask_approval],
  )
  return (
    <ReasonsContext.Provider value={reasons}>
      {children}
      {request ? <ApprovalDialog wanted={request.wanted} onEnd={request.settle} /> : null}
      {question ? <PurposeDialog said={question.said} from={question.from} onEnd={question.settle} /> : null}
    </ReasonsContext.Provider>
  )
}
