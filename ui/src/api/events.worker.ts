/// <reference lib="webworker" />
import { EventStream, type StreamMessage } from './stream'

/**
 * One event stream for all windows of this browser. Windows say `hello` on opening and `bye` on leaving; a window that
 * opens later is told the latest notes, which the stream will not say again.
 */
const worker = self as unknown as SharedWorkerGlobalScope
const ports = new Set<MessagePort>()

const NOTES_KEPT = 60
let notes: StreamMessage[] = []

const stream = new EventStream((message: StreamMessage) => {
  if (message.is === 'event' && message.type === 'note') notes = [...notes, message].slice(-NOTES_KEPT)
  for (const port of ports) port.postMessage(message)
})

worker.onconnect = (event) => {
  const port = event.ports[0]
  if (!port) return
  port.onmessage = (message: MessageEvent<'hello' | 'bye'>) => {
    if (message.data === 'hello') {
      ports.add(port)
      stream.start()
      port.postMessage({ is: 'status', status: stream.status } satisfies StreamMessage)
      for (const note of notes) port.postMessage(note)
    } else {
      ports.delete(port)
      if (ports.size > 0) return
      // The next to come may be another person: nothing of this session is kept.
      stream.stop()
      notes = []
    }
  }
  port.start()
}
