import { Button, Input } from 'antd'
import { useDeferredValue, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { urlOf } from '../api/client'
import type { Id, SipMessage } from '../api/types'
import { Act } from '../shared/Act'
import { Face } from '../shared/Face'
import { clock } from '../shared/format'
import { keyOf, summarise } from './sip'
import { MESSAGES_KEPT, useMessages } from './useMessages'

/** Every signalling message of a device, live; search, hold still, open one, take them away as pcap. */
export function Messages({ device }: { device: Id }) {
  const { t } = useTranslation()
  const [text, setText] = useState('')
  const [paused, setPaused] = useState(false)
  const [open, setOpen] = useState<string | null>(null)
  const q = useDeferredValue(text.trim())
  const log = useMessages(device, q, paused)
  return (
    <section className="messages" aria-label={t('access:part.messages')}>
      <div className="messages-bar">
        <Input
          allowClear
          size="small"
          value={text}
          onChange={(event) => setText(event.target.value)}
          placeholder={t('access:message.search')}
          aria-label={t('access:message.search')}
        />
        <Button size="small" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? t('access:message.resume') : t('access:message.pause')}
        </Button>
        <Button size="small" onClick={log.clear}>
          {t('access:message.clear')}
        </Button>
        <Act size="small" href={urlOf(`/devices/${device}/messages.pcap`, { q })}>
          {t(q ? 'access:message.pcap_found' : 'access:message.pcap')}
        </Act>
      </div>
      <p className="messages-state" role="status">
        {paused
          ? t('access:message.paused')
          : log.live
            ? t('access:message.live')
            : t('access:message.connecting')}
        {log.dropped > 0 ? ` · ${t('access:message.dropped', { kept: MESSAGES_KEPT, n: log.dropped })}` : ''}
      </p>
      {log.messages.length === 0 ? (
        <Face kind="empty" text={q ? t('access:message.none_found') : t('access:message.none')} />
      ) : (
        <ol className="messages-list">
          {log.messages.map((message) => {
            const key = keyOf(message)
            return (
              <Line
                key={key}
                message={message}
                open={open === key}
                onFlip={() => setOpen(open === key ? null : key)}
              />
            )
          })}
        </ol>
      )}
    </section>
  )
}

interface LineProps {
  message: SipMessage
  open: boolean
  onFlip: () => void
}

function Line({ message, open, onFlip }: LineProps) {
  const { t } = useTranslation()
  const { method, status, line } = summarise(message.text)
  return (
    <li>
      <button type="button" aria-expanded={open} onClick={onFlip} title={message.remote}>
        <time>{clock(message.at)}</time>
        <span className={message.outgoing ? 'message-out' : 'message-in'}>
          {message.outgoing ? `→ ${t('access:message.out')}` : `← ${t('access:message.in')}`}
        </span>
        <code>{status ?? method}</code>
        <span className="message-summary">{line}</span>
      </button>
      {open ? <pre>{message.text}</pre> : null}
    </li>
  )
}
