import { useQuery } from '@tanstack/react-query'
import { Drawer } from 'antd'
import { Fragment } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { PlayTrace } from '../../api/types'
import { Failed, Loading } from '../../shared/Face'
import { clock, stamp } from '../../shared/format'
import { said } from '../../said/said'

interface TraceDrawerProps {
  play: string | null
  name: string
  onClose: () => void
}

const millis = (at: number) => String(((at % 1000) + 1000) % 1000).padStart(3, '0')

/** The line of a message that tells it from others: of a description of media, what is offered. */
export function headline(text: string): string {
  const lines = text.split(/\r?\n/)
  const media = lines[0] === 'v=0' ? lines.find((line) => line.startsWith('m=')) : undefined
  return media ? `SDP ${media}` : (lines[0] ?? '')
}

/** One play from the click to the first picture: every step, the time between, the messages, and what it means. */
export function TraceDrawer({ play, name, onClose }: TraceDrawerProps) {
  const { t } = useTranslation()
  const trace = useQuery<PlayTrace>({
    queryKey: ['play', play],
    enabled: play !== null,
    refetchInterval: (query) => (query.state.data?.outcome === 'playing' ? 3_000 : false),
    queryFn: ({ signal }) => fetched<PlayTrace>('GET', `/plays/${play ?? ''}`, { signal }),
  })
  return (
    <Drawer open={play !== null} onClose={onClose} title={t('media:trace.title', { name })} size={560}>
      {trace.data ? (
        <Story trace={trace.data} />
      ) : trace.error ? (
        <Failed error={trace.error} retry={() => void trace.refetch()} />
      ) : (
        <Loading />
      )}
    </Drawer>
  )
}

function Story({ trace }: { trace: PlayTrace }) {
  const { t } = useTranslation()
  const start = Date.parse(trace.started_at)
  return (
    <div className="trace">
      <p className={`trace-verdict trace-${trace.outcome}`}>
        <strong>{t(`media:trace.outcome.${trace.outcome}`)}</strong>
        <span>{said(trace.verdict)}</span>
      </p>
      <p className="muted">
        {stamp(start)} · {t(`media:trace.kind.${trace.kind}`, { defaultValue: trace.kind })}
        {trace.first_picture_ms === null
          ? ''
          : ` · ${t('media:trace.first_picture', { n: trace.first_picture_ms })}`}
        {trace.attempts > 1 ? ` · ${t('media:trace.attempts', { n: trace.attempts })}` : ''}
      </p>
      <ol className="trace-steps">
        {trace.steps.map((step, index) => {
          const at = Date.parse(step.at)
          const before = trace.steps[index - 1]
          const took = before ? at - Date.parse(before.at) : 0
          const bad = step.step === 'failed' || step.step === 'refused'
          return (
            <li key={`${step.step}-${index}`} className={bad ? 'bad' : took > 1_000 ? 'slow' : undefined}>
              <b>{t(`media:trace.step.${step.step}`, { defaultValue: step.step })}</b>
              <span className="trace-took">{before ? `+${took} ms` : clock(at)}</span>
              {step.detail ? <small>{said(step.detail)}</small> : null}
            </li>
          )
        })}
      </ol>
      <h3>{t('media:trace.messages', { n: trace.messages.length })}</h3>
      {trace.messages.map((message, index) => (
        <Fragment key={index}>
          {message.skipped > 0 ? (
            <p className="muted">{t('media:trace.skipped', { n: message.skipped })}</p>
          ) : null}
          <details className="trace-message">
            <summary>
              <span className={message.outgoing ? 'out' : 'in'}>
                {message.outgoing ? t('media:trace.out') : t('media:trace.in')}
              </span>
              <code>{headline(message.text)}</code>
              <small>
                {clock(message.at)}.{millis(Date.parse(message.at))}
              </small>
            </summary>
            <pre>{message.text}</pre>
            {message.cut > 0 ? <small>{t('media:trace.cut', { n: message.cut })}</small> : null}
          </details>
        </Fragment>
      ))}
    </div>
  )
}
