import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { useStreamStatus } from '../api/events'
import type { NoteLevel } from '../api/types'
import { paths } from '../app/paths'
import { clock } from '../shared/format'
import { useNotes, type GroupedNote } from './notes'
import './ticker.css'

const marks: Record<NoteLevel, string> = {
  info: 'M2 4.2h6v1.6H2z',
  ok: 'M5 1a4 4 0 1 1 0 8 4 4 0 0 1 0-8z',
  warn: 'M5 .8L9.6 9H.4z',
  bad: 'M1.5 1.5h7v7h-7z',
}

/** Causes like `device:3402…` only say what belongs together; they are not for reading. */
const KEY = /^[a-z_]+:/

/** What just happened, newest first, one line per cause. */
export function Ticker() {
  const { t } = useTranslation()
  const notes = useNotes()
  const stream = useStreamStatus()
  return (
    <section className="ticker" aria-label={t('notes:title')}>
      <ol aria-live="polite">
        {notes.length === 0 ? <li className="muted">{t('notes:quiet')}</li> : null}
        {notes.slice(0, 12).map((note) => (
          <li key={`${note.at}${note.text}${note.params.id ?? note.cause ?? ''}`}>
            <NoteLine note={note} />
          </li>
        ))}
      </ol>
      <span className={stream === 'live' ? 'ticker-stream' : 'ticker-stream ticker-lost'}>
        {stream === 'live' ? t('notes:live') : stream === 'lost' ? t('notes:lost') : t('notes:connecting')}
      </span>
    </section>
  )
}

function NoteLine({ note }: { note: GroupedNote }) {
  const { t } = useTranslation()
  const text = t(`notes:text.${note.text}`, { ...note.params, defaultValue: note.text })
  const id = note.params.id
  const line = (
    <>
      <svg
        className={`note-${note.level}`}
        width="10"
        height="10"
        viewBox="0 0 10 10"
        role="img"
        aria-label={t(`notes:level.${note.level}`)}
      >
        <path d={marks[note.level]} fill="currentColor" />
      </svg>
      <time>{clock(note.at)}</time>
      <span>{text}</span>
      {note.cause && !KEY.test(note.cause) ? <span className="note-cause">{note.cause}</span> : null}
      {note.things > 1 ? (
        <span className="note-times">{t('notes:things', { n: note.things })}</span>
      ) : note.times > 1 ? (
        <span className="note-times">×{note.times}</span>
      ) : null}
    </>
  )
  if (note.things > 1) return <Link to={paths.map({ state: 'offline', list: '1' })}>{line}</Link>
  const device = note.params.device
  if (typeof device === 'string') return <Link to={paths.devices({ tab: 'adopted', q: device })}>{line}</Link>
  return typeof id === 'string' ? <Link to={paths.map({ point: id })}>{line}</Link> : <span>{line}</span>
}
