import type { TFunction } from 'i18next'
import type { OversightCell, OversightMonth } from '../../api/types'
import { paths } from '../../app/paths'
import { dayOf } from '../rights/grants'

/** The tables of a month in the order in which they are read, and what each of a row's names is. */
export const TABLES = {
  looks: ['action', 'reason', 'unit'],
  refusals: ['action', 'outcome'],
  requests: ['action', 'approval', 'urgency'],
  urgent: ['urgent'],
  anomalies: ['rule', 'anomaly'],
  breaches: ['breach'],
  brought: ['brought', 'became'],
  deletions: ['action'],
  retention: ['kept'],
  uses: ['action'],
  events: ['kind'],
} as const
export type TableName = keyof typeof TABLES
type Word = (typeof TABLES)[TableName][number]
export const NAMES = Object.keys(TABLES) as TableName[]

const KEYS: Record<Exclude<Word, 'unit'>, string> = {
  action: 'governance:action',
  reason: 'governance:purpose.kind',
  outcome: 'governance:oversight.outcome',
  approval: 'governance:approval.state',
  urgency: 'governance:oversight.urgency',
  urgent: 'governance:oversight.urgent',
  rule: 'governance:anomaly.rule',
  anomaly: 'governance:anomaly.state',
  breach: 'governance:breach.state',
  brought: 'governance:request.kind',
  became: 'governance:request.state',
  kind: 'governance:ledger.kinds',
  kept: 'governance:oversight.kept',
}

/** How a name of a table reads. */
export function wordOf(word: Word, name: string, t: TFunction): string {
  if (word === 'unit') return name || t('governance:oversight.program')
  if (word === 'reason' && name === '') return t('governance:oversight.no_purpose')
  const key = name.startsWith('retention ') ? 'retention' : name
  return t(`${KEYS[word]}.${key}`, { defaultValue: name })
}

export const wordsOf = (table: TableName, cell: OversightCell, t: TFunction): string[] =>
  // the form that may be published has no units
  cell.names.map((name, n) => wordOf(TABLES[table][n] ?? 'unit', name, t))

/** Where the rows behind a number are; null where they are no rows of the ledger. */
export function drill(
  table: TableName,
  cell: OversightCell,
  span: { from: string; to: string },
): string | null {
  const [first = '', second = ''] = cell.names
  switch (table) {
    case 'looks':
      return paths.ledger({ kind: 'opened', action: first, ...span })
    case 'refusals':
      return paths.ledger({ kind: 'denied', action: first, ...span })
    case 'uses':
      return paths.ledger({ kind: 'used', action: first, ...span })
    case 'deletions':
      return paths.ledger({ kind: 'deleted', action: first, ...span })
    case 'requests':
      return paths.ledger({ kind: 'approval', action: first, ...span })
    case 'events':
      return paths.ledger({ kind: first, ...span })
    case 'anomalies':
      return paths.oversight({ tab: 'anomalies', state: second })
    case 'breaches':
      return paths.oversight({ tab: 'breaches', state: first })
    case 'brought':
      return paths.system({ tab: 'duties', part: 'requests', kind: first })
    case 'retention':
      return paths.system({ tab: 'retention' })
    case 'urgent':
      return paths.ledger({ kind: 'approval', ...span })
  }
}

/** Months to choose from, the running one first: `2026-11`. */
export function monthsUntil(now: number, many = 36): string[] {
  const [year = 0, month = 0] = dayOf(now).split('-').map(Number)
  return Array.from({ length: many }, (_, back) => {
    const number = year * 12 + month - 1 - back
    return `${Math.floor(number / 12)}-${String((number % 12) + 1).padStart(2, '0')}`
  })
}

export const cellsOf = (report: OversightMonth, table: TableName): readonly OversightCell[] =>
  report.tables[table] ?? []

/** A text that a spreadsheet does not take for a formula, in quotes where it needs them. */
function field(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}

/** The month as a table of five columns, for a spreadsheet. */
export function csvOf(report: OversightMonth, t: TFunction): string {
  const rows = [
    [t('governance:oversight.title'), report.month],
    [
      t('governance:oversight.table'),
      t('governance:oversight.of', { n: 1 }),
      t('governance:oversight.of', { n: 2 }),
      t('governance:oversight.of', { n: 3 }),
      t('governance:oversight.number'),
    ],
    ...NAMES.flatMap((table) =>
      cellsOf(report, table).map((cell) => {
        const words = wordsOf(table, cell, t)
        const [one = '', two = '', three = ''] = words
        return [
          t(`governance:oversight.tables.${table}`),
          one,
          two,
          three,
          cell.count === null ? t('governance:oversight.few') : String(cell.count),
        ]
      }),
    ),
  ]
  return `\uFEFF${rows.map((row) => row.map(field).join(',')).join('\r\n')}\r\n`
}
