import { describe, expect, it } from 'vitest'
import { keyOf, summarise } from './sip'

describe('summarise', () => {
  it('names a request by its command, or by whom it goes to', () => {
    expect(
      summarise(
        'MESSAGE sip:1@2 SIP/2.0\r\nCSeq: 4 MESSAGE\r\n\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n</Notify>',
      ),
    ).toEqual({ method: 'MESSAGE', status: null, line: 'Keepalive' })
    expect(summarise('INVITE sip:34020000001310000001@3402000000 SIP/2.0\r\n\r\n')).toEqual({
      method: 'INVITE',
      status: null,
      line: 'sip:34020000001310000001@3402000000',
    })
  })
  it('names an answer by what it answers', () => {
    expect(summarise('SIP/2.0 200 OK\r\nCSeq: 20 REGISTER\r\n\r\n')).toEqual({
      method: 'REGISTER',
      status: 200,
      line: 'OK · REGISTER',
    })
    expect(summarise('SIP/2.0 401 Unauthorized\n\n')).toEqual({
      method: '',
      status: 401,
      line: 'Unauthorized',
    })
  })
  it.each(['', '\r\n', 'SIP/2.0', 'SIP/2.0 abc', 'GET / HTTP/1.1', '\u0000\u0001', 'x'.repeat(100_000)])(
    'takes whatever a peer sent (%#)',
    (text) => {
      const told = summarise(text)
      expect(told.status).toBeNull()
      expect(told.line.length).toBeLessThanOrEqual(200)
    },
  )
})

it('knows a message told twice', () => {
  const message = {
    at: '2026-11-22T12:00:00.000001Z',
    outgoing: true,
    transport: 'udp',
    local: '',
    remote: '',
    text: 'a',
  }
  expect(keyOf(message)).toBe(keyOf({ ...message, remote: 'x' }))
  expect(keyOf(message)).not.toBe(keyOf({ ...message, outgoing: false }))
})
