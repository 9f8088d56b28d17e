import { useCallback, useEffect, useRef, useState } from 'react'
import { urlOf } from '../api/client'
import type { Id, SipMessage } from '../api/types'
import { keyOf } from './sip'

export const MESSAGES_KEPT = 500

export interface MessageLog {
  /** Newest first. */
  messages: readonly SipMessage[]
  /** Older ones no longer shown. */
  dropped: number
}

export const emptyLog: MessageLog = { messages: [], dropped: 0 }

/** Puts newer messages on top; what falls off the end is counted. One told twice is shown once. */
export function addMessages(log: MessageLog, fresh: readonly SipMessage[]): MessageLog {
  const known = new Set(log.messages.map(keyOf))
  const added = fresh.filter((message) => !known.has(keyOf(message))).reverse()
  const all = [...added, ...log.messages]
  return {
    messages: all.slice(0, MESSAGES_KEPT),
    dropped: log.dropped + Math.max(0, all.length - MESSAGES_KEPT),
  }
}

const FLUSH_MS = 200

/** A device's signalling as it happens. `paused` keeps the screen still; what came meanwhile is shown on resuming. */
export function useMessages(device: Id, q: string, paused: boolean) {
  const [log, setLog] = useState(emptyLog)
  const [live, setLive] = useState(false)
  const waiting = useRef<SipMessage[]>([])
  const held = useRef(paused)
  const flush = useCallback(() => {
    if (held.current || waiting.current.length === 0) return
    const fresh = waiting.current
    waiting.current = []
    setLog((old) => addMessages(old, fresh))
  }, [])
  useEffect(() => {
    held.current = paused
    flush()
  }, [paused, flush])
  useEffect(() => {
    setLog(emptyLog)
    waiting.current = []
    const source = new EventSource(urlOf(`/devices/${device}/messages`, { q }), { withCredentials: true })
    source.onopen = () => setLive(true)
    source.onerror = () => setLive(false)
    source.onmessage = (event: MessageEvent<string>) => {
      try {
        waiting.current = [...waiting.current, JSON.parse(event.data) as SipMessage].slice(-MESSAGES_KEPT)
      } catch {
        // One unreadable line is not worth the rest.
      }
    }
    const timer = setInterval(flush, FLUSH_MS)
    return () => {
      clearInterval(timer)
      source.close()
      setLive(false)
    }
  }, [device, q, flush])
  return { ...log, live, clear: () => setLog(emptyLog) }
}
