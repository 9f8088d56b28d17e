import i18next from 'i18next'
import english from './en.json'
import chinese from './zh-CN.json'
import { stamp } from '../shared/format'

/**
 * Sentences the server says, in the reader's language. The sentence as it stands in the source, placeholders numbered,
 * is its key: `device {0} does not answer`. A test collects all of them from the source and fails where one is missing.
 */
interface Template {
  pattern: RegExp
  /** Placeholders in the order in which they stand in the pattern. */
  order: string[]
  other: string
}

interface Book {
  /** Without placeholders. */
  plain: Map<string, string>
  /** The most particular first. */
  templates: Template[]
}

/** A time of the API; people read the zone of the screen. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const BREAK = /[.;。；]\s+\S/
const HOLE = /\{\d+\}/g
const MOST_CACHED = 500
const LONGEST = 2_000

function bind(texts: Record<string, string>): Book {
  const plain = new Map<string, string>()
  const templates: Template[] = []
  const literal = (text: string) => text.replace(HOLE, '').length
  for (const [text, other] of Object.entries(texts).sort(([a], [b]) => literal(b) - literal(a))) {
    const order = text.match(HOLE) ?? []
    if (order.length === 0) {
      plain.set(text, other)
      continue
    }
    const pattern = text
      .split(HOLE)
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('([^]*?)')
    templates.push({ pattern: new RegExp(`^${pattern}$`), order, other })
  }
  return { plain, templates }
}

const books: Record<string, Book> = {
  'zh-CN': bind({ ...chinese.said, ...chinese.also }),
  en: bind({ ...english.said, ...english.also }),
}
const cache = new Map<string, string>()

function one(text: string, book: Book, depth: number): string | null {
  const plain = book.plain.get(text) ?? book.plain.get(text.replace(/\.$/, ''))
  if (plain !== undefined) return plain
  // As one of several sentences it ends with a full stop that it has not by itself.
  const bare = text.replace(/\.$/, '')
  for (const { pattern, order, other } of book.templates) {
    const exact = pattern.exec(text)
    const match = exact ?? pattern.exec(bare)
    // What is put in is no more than one sentence: else a short template would swallow those that follow it.
    if (match === null || match.slice(1).some((given) => BREAK.test(given))) continue
    // What was put in may be a sentence itself: a reason within a reason.
    const made = other.replace(HOLE, (hole) => {
      const given = match[order.indexOf(hole) + 1] ?? ''
      if (MOMENT.test(given)) return stamp(given)
      return depth > 0 ? whole(given, book, depth - 1) : given
    })
    return exact !== null || /[.。]$/.test(made) ? made : made + (book === books.en ? '.' : '。')
  }
  return null
}

/** All of it as one, else as sentences one after another, each as long as it can be. */
function whole(text: string, book: Book, depth: number): string {
  const found = one(text, book, depth)
  if (found !== null) return found
  const parts = text.split(/(?<=[.;。；])\s+/)
  if (parts.length === 1) return text
  const out: string[] = []
  for (let from = 0; from < parts.length;) {
    let until = parts.length
    let said: string | null = null
    for (; until > from; until--) {
      said = one(parts.slice(from, until).join(' ').replace(/;$/, ''), book, depth)
      if (said !== null) break
    }
    out.push(said ?? parts[from] ?? '')
    from = said === null ? from + 1 : until
  }
  return out.join(' ')
}

export function said(text: string | null | undefined, language = i18next.language): string {
  const book = books[language]
  if (!text || book === undefined || text.length > LONGEST) return text ?? ''
  const key = `${language}\n${text}`
  const known = cache.get(key)
  if (known !== undefined) return known
  const told = whole(text, book, 2)
  if (cache.size >= MOST_CACHED) cache.clear()
  cache.set(key, told)
  return told
}
