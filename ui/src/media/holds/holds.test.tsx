import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { recordingRoutes } from '../../../mock/recordings.mjs'
import { Routes } from '../../../mock/routes.mjs'
import { answeredBy, show } from '../../../test/mocked'
import type { Abilities } from '../../api/types'
import { setLanguage, startLanguage } from '../../i18n'
import { HoldsTab } from './HoldsTab'
import { KeepForm } from './KeepForm'
import { dayAhead } from './review'

const POINTS = ['Gate', 'Crossing', 'Yard', 'Bridge', 'Square'].map((name, n) => ({ id: `p${n}`, name }))
const START = Date.parse('2026-11-22T04:00:00Z')
const OVERDUE = '治安-2026-0398 盗窃'

beforeAll(() => startLanguage('en'))
beforeEach(() => setLanguage('en'))
afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

function city(can: Partial<Abilities>) {
  const routes = new Routes()
  let made = 0
  const held = recordingRoutes(routes.on, POINTS, () => `id-${made++}`)
  routes.on('GET', '/points/:id', ({ params }) => POINTS.find((point) => point.id === params.id))
  answeredBy(routes, can)
  return held
}
const rowOf = async (text: string) => {
  const row = (await screen.findByText(text)).closest<HTMLElement>('[role="row"]')
  if (row === null) throw new Error(`${text} stands in no row`)
  return within(row)
}

describe('holds', () => {
  it('lead to what they keep, and say whose review is overdue', async () => {
    city({ hold: true, view_playback: true })
    show(<HoldsTab />)
    const row = await rowOf(OVERDUE)
    expect(row.getByText(/overdue/)).toBeDefined()
    expect(row.getByText('王')).toBeDefined()
    const link = new URL(row.getByText<HTMLAnchorElement>('Gate').href)
    expect([link.pathname, link.searchParams.get('points')]).toEqual(['/playback', 'p0'])
    expect(link.searchParams.get('clip')).toContain(`${link.searchParams.get('at') ?? '?'}~`)
    expect((await rowOf('消防-2026-0031')).queryByText(/overdue/)).toBeNull()
  })

  it('are asked for by point and by overdue review, as the address says', async () => {
    city({ hold: true, view_playback: true })
    show(<HoldsTab />, '/system?tab=holds&point=p0')
    expect(await screen.findByText('治安-2026-0412')).toBeDefined()
    expect(screen.queryByText('消防-2026-0031')).toBeNull()
    fireEvent.click(screen.getByText('Review overdue'))
    await waitFor(() => expect(screen.queryByText('治安-2026-0412')).toBeNull())
    expect(await screen.findByText(OVERDUE)).toBeDefined()
  })

  it('are released with a reason', async () => {
    city({ hold: true, view_playback: true })
    show(<HoldsTab />)
    fireEvent.click((await rowOf(OVERDUE)).getByText('Release'))
    const dialog = within(await screen.findByRole('dialog'))
    fireEvent.change(dialog.getByLabelText('Why it may be released'), { target: { value: ' x ' } })
    fireEvent.click(dialog.getByText('Release'))
    expect(await dialog.findByText('Say why, in at least three characters')).toBeDefined()
    fireEvent.change(dialog.getByLabelText('Why it may be released'), { target: { value: 'case closed' } })
    fireEvent.click(dialog.getByText('Release'))
    await waitFor(() => expect(screen.queryByText(OVERDUE)).toBeNull())
  })

  it('stand there with the reason for who may not let them go or look', async () => {
    city({ hold: false, view_playback: false })
    show(<HoldsTab />)
    const row = await rowOf(OVERDUE)
    expect(row.getByLabelText('Release — You may not do this')).toBeDefined()
    expect(row.getByText('Gate').closest('a')).toBeNull()
  })

  it('are placed by Enter, with a day that the server takes', async () => {
    const held = city({ hold: true })
    const close = vi.fn()
    const known = { id: 'h', start: '2026-11-22T04:00:30Z', end: '2026-11-22T05:00:00Z', reason: 'case 3' }
    show(
      <KeepForm
        point={{ id: 'p2', name: 'Yard' }}
        stretch={{ start: START, end: START + 60_000 }}
        held={[known]}
        onClose={close}
      />,
    )
    const dialog = within(await screen.findByRole('dialog'))
    expect(dialog.getByText(/case 3/)).toBeDefined()
    fireEvent.change(dialog.getByLabelText('Reason'), { target: { value: 'case 4' } })
    const day = dialog.getByLabelText<HTMLInputElement>('Review by')
    fireEvent.change(day, { target: { value: '2020-01-01' } })
    fireEvent.submit(day)
    expect(await dialog.findByText(/Write a day as/)).toBeDefined()
    fireEvent.click(dialog.getByText('90 days'))
    expect(day.value).toBe(dayAhead(90))
    fireEvent.submit(day)
    await waitFor(() => expect(close).toHaveBeenCalledTimes(1))
    expect(held('p2', START, START + 1)).toMatchObject([
      { reason: 'case 4', end: '2026-11-22T04:01:00.000Z' },
    ])
  })
})
