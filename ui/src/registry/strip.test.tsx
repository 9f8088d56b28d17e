import { render, screen } from '@testing-library/react'
import { beforeAll, beforeEach, expect, it } from 'vitest'
import type { StateSpan } from '../api/types'
import { setLanguage, startLanguage } from '../i18n'
import { StateStrip } from './StateStrip'

const HOUR = 3_600_000
const now = Date.UTC(2026, 10, 22, 12)
const span = (from: number, to: number, state: StateSpan['state']): StateSpan => ({
  start: new Date(now - from * HOUR).toISOString(),
  end: new Date(now - to * HOUR).toISOString(),
  state,
  cause: '',
  reason: '',
})
const told = (spans: StateSpan[]) => {
  render(<StateStrip spans={spans} hours={24} now={now} />)
  return screen.getByRole('img').getAttribute('aria-label')
}

beforeAll(() => startLanguage('en'))
beforeEach(() => setLanguage('en'))

it('calls a day steady only when all of it is known', () => {
  expect(told([span(24, 0, 'online')])).toBe('not offline once in 24 h')
})
it('never counts unknown as good, said or not', () => {
  expect(told([span(24, 6, 'unknown'), span(6, 0, 'online')])).toBe('unknown for 18 h')
})
it('takes what no span covers for unknown', () => {
  expect(told([span(2, 0, 'online')])).toBe('unknown for 22 h')
})
it('tells outages and what is unknown together', () => {
  expect(told([span(24, 12, 'unknown'), span(12, 9, 'offline'), span(9, 0, 'online')])).toBe(
    'offline 1 time, 3 h · unknown for 12 h',
  )
})
