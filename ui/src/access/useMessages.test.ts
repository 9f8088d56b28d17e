import { expect, it } from 'vitest'
import type { SipMessage } from '../api/types'
import { addMessages, emptyLog, MESSAGES_KEPT } from './useMessages'

const message = (n: number): SipMessage => ({
  at: '2026-11-22T12:00:00Z',
  outgoing: false,
  transport: 'udp',
  local: '10.0.0.2:5060',
  remote: '10.0.0.1:5060',
  text: String(n),
})
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => message(from + i))

it('puts the newest on top and adds nothing twice', () => {
  let log = addMessages(emptyLog, range(0, 3))
  log = addMessages(log, range(1, 5))
  expect(log.messages.map(({ text }) => text)).toEqual(['4', '3', '2', '1', '0'])
  expect(log.dropped).toBe(0)
})
it('keeps a bounded number and counts what fell off', () => {
  let log = addMessages(emptyLog, range(0, MESSAGES_KEPT))
  log = addMessages(log, range(MESSAGES_KEPT, MESSAGES_KEPT + 30))
  expect(log.messages).toHaveLength(MESSAGES_KEPT)
  expect(log.messages[0]?.text).toBe(String(MESSAGES_KEPT + 29))
  expect(log.dropped).toBe(30)
})
