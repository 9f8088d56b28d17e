import { useEffect, useRef, useSyncExternalStore } from 'react'
import { EventStream, type EventType, type StreamMessage, type StreamStatus } from './stream'
import type { EventMap } from './types'

type Listener<K extends EventType> = (payload: EventMap[K]) => void

const listeners = new Map<EventType, Set<(payload: never) => void>>()
const statusListeners = new Set<() => void>()
let status: StreamStatus = 'connecting'
let stop: (() => void) | null = null

function receive(message: StreamMessage): void {
  if (message.is === 'status') {
    status = message.status
    for (const listener of statusListeners) listener()
    return
  }
  for (const listener of listeners.get(message.type) ?? []) listener(message.payload as never)
}

/** Opens the stream (shared by all windows where the browser has SharedWorker). Safe to call twice. */
export function startEvents(): void {
  if (stop) return
  if (typeof SharedWorker === 'undefined') {
    const stream = new EventStream(receive)
    stream.start()
    stop = () => stream.stop()
    return
  }
  const worker = new SharedWorker(new URL('./events.worker.ts', import.meta.url), {
    type: 'module',
    name: 'anwang-events',
  })
  worker.port.onmessage = (event: MessageEvent<StreamMessage>) => receive(event.data)
  worker.port.start()
  const hello = () => worker.port.postMessage('hello')
  const bye = () => worker.port.postMessage('bye')
  hello()
  window.addEventListener('pagehide', bye)
  window.addEventListener('pageshow', hello)
  stop = () => {
    window.removeEventListener('pagehide', bye)
    window.removeEventListener('pageshow', hello)
    bye()
    worker.port.close()
  }
}

export function stopEvents(): void {
  stop?.()
  stop = null
}

export function onEvent<K extends EventType>(type: K, listener: Listener<K>): () => void {
  const set = listeners.get(type) ?? new Set()
  listeners.set(type, set)
  set.add(listener)
  return () => {
    set.delete(listener)
  }
}

/** Calls `listener` for each event of that type while the component is mounted. */
export function useEvent<K extends EventType>(type: K, listener: Listener<K>): void {
  const latest = useRef(listener)
  useEffect(() => {
    latest.current = listener
  })
  useEffect(() => onEvent(type, (payload) => latest.current(payload)), [type])
}

export function useStreamStatus(): StreamStatus {
  return useSyncExternalStore(
    (listener) => {
      statusListeners.add(listener)
      return () => statusListeners.delete(listener)
    },
    () => status,
  )
}
