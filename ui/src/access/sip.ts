import type { SipMessage } from '../api/types'

export interface SipSummary {
  /** `REGISTER`, `MESSAGE`; of an answer, the request it answers. */
  method: string
  /** Of an answer. */
  status: number | null
  /** One line that tells what it is about. */
  line: string
}

const COMMAND = /<CmdType>\s*([A-Za-z0-9]{1,40})\s*<\/CmdType>/
const SEQUENCE = /^CSeq:\s*\d+\s+([A-Z]+)/im

/** What a SIP message is, from its text alone; never throws, whatever a peer sent. */
export function summarise(text: string): SipSummary {
  const first = (text.split(/\r?\n/, 1)[0] ?? '').slice(0, 200)
  const command = COMMAND.exec(text)?.[1]
  const answer = /^SIP\/2\.0 (\d{3}) ?(.*)$/.exec(first)
  if (answer) {
    const method = SEQUENCE.exec(text)?.[1] ?? ''
    return { method, status: Number(answer[1]), line: [answer[2], method].filter(Boolean).join(' · ') }
  }
  const request = /^([A-Z]{2,20}) (\S+) SIP\/2\.0$/.exec(first)
  if (!request) return { method: '', status: null, line: first }
  return { method: request[1] ?? '', status: null, line: command ?? request[2] ?? '' }
}

/** The same message told twice (a stream that reconnects begins with what is kept) has the same key. */
export function keyOf({ at, outgoing, text }: SipMessage): string {
  return `${at}${outgoing ? '>' : '<'}${text}`
}
