import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { caseRoutes } from '../../mock/cases.mjs'
import { Routes } from '../../mock/routes.mjs'
import { answeredBy, show } from '../../test/mocked'
import type { Abilities } from '../api/types'
import { setLanguage, startLanguage } from '../i18n'
import { Component as ApprovalsPage } from './approvals/ApprovalsPage'
import { Component as LedgerPage } from './ledger/LedgerPage'

const POINTS = [
  { id: 'p0', name: 'Gate' },
  { id: 'p1', name: 'Yard' },
]

beforeAll(() => startLanguage('en'))
beforeEach(() => setLanguage('en'))
afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

function city(can: Partial<Abilities>) {
  const routes = new Routes()
  let made = 0
  caseRoutes(routes.on, POINTS, () => `id-${made++}`)
  routes.on('GET', '/points/:id', ({ params }) => POINTS.find((point) => point.id === params.id))
  answeredBy(routes, can)
}
const rows = () => screen.findAllByRole('row').then((all) => all.slice(1))

describe('approvals', () => {
  const OFFICER = { ask_approval: true, approve: true, view_playback: true }

  it('that wait for me come first; a no needs its reason', async () => {
    city(OFFICER)
    show(<ApprovalsPage />, '/approvals')
    await waitFor(async () => expect(await rows()).toHaveLength(2))
    expect(screen.getByText('Urgent')).toBeDefined()
    const link = screen.getAllByText<HTMLAnchorElement>('Gate')[0]
    expect(link?.getAttribute('href')).toBe('/map?point=p0')
    const row = screen.getByText('嫌疑车辆经过该路口').closest<HTMLElement>('[role="row"]')
    if (row === null) throw new Error('no row')
    fireEvent.click(within(row).getByText('Refuse'))
    const dialog = within(await screen.findByRole('dialog', { name: /Refuse the request of li/ }))
    fireEvent.click(dialog.getByText('Refuse'))
    expect(await dialog.findByText('Say why not')).toBeDefined()
    fireEvent.change(dialog.getByLabelText('Why not'), { target: { value: 'too long' } })
    fireEvent.click(dialog.getByText('Refuse'))
    await waitFor(async () => expect(await rows()).toHaveLength(1))
  })

  it('are approved, and then all of them say so', async () => {
    city(OFFICER)
    show(<ApprovalsPage />, '/approvals?tab=all')
    await waitFor(async () => expect(await rows()).toHaveLength(3))
    fireEvent.click((await screen.findAllByText('Approve'))[0] as HTMLElement)
    const dialog = within(await screen.findByRole('dialog', { name: /Approve the request/ }))
    fireEvent.click(dialog.getByText('Approve'))
    expect(await screen.findByText(/good for/)).toBeDefined()
  })

  it('have one list for who only asks', async () => {
    city({ ask_approval: true })
    show(<ApprovalsPage />, '/approvals')
    expect(await screen.findByText('You have not asked for an approval yet.')).toBeDefined()
    expect(screen.getAllByRole('tab')).toHaveLength(1)
  })
})

describe('the ledger', () => {
  it('tells how much was looked at, and goes further back when told to', async () => {
    city({ read_ledger: true })
    show(<LedgerPage />, '/ledger?case=A440300-2026-118')
    expect(await screen.findByText('3 rows fit of 120 looked at')).toBeDefined()
    expect(screen.getByText(/The searchable copy does not answer/)).toBeDefined()
    fireEvent.click(screen.getByText('Look further back'))
    expect(await screen.findByText('3 rows fit of 193 looked at')).toBeDefined()
    expect(screen.queryByText('Look further back')).toBeNull()
  })

  it('leads from a value of a row to the other rows of the same', async () => {
    city({ read_ledger: true })
    show(<LedgerPage />, '/ledger?actor=li')
    fireEvent.click(await screen.findByText('Look closed'))
    const drawer = within(await screen.findByRole('dialog'))
    expect(drawer.getByText('7,340,032')).toBeDefined()
    expect(await drawer.findByText(/Gate/)).toBeDefined()
    fireEvent.click(drawer.getByText('look-198'))
    await waitFor(() => expect(screen.getByLabelText<HTMLInputElement>('Object').value).toBe('look-198'))
    expect(await screen.findByText('2 rows fit of 120 looked at')).toBeDefined()
  })

  it('is nobody else to read', async () => {
    city({ view_live: true })
    show(<LedgerPage />, '/ledger')
    expect(await screen.findByText('You may not do this')).toBeDefined()
  })
})
