import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { recordingRoutes } from '../../mock/recordings.mjs'
import { Routes } from '../../mock/routes.mjs'
import { answeredBy, show } from '../../test/mocked'
import type { Abilities } from '../api/types'
import { setLanguage, startLanguage } from '../i18n'
import { PlansTab } from './PlansTab'

const POINTS = ['Gate', 'Crossing', 'Yard', 'Bridge', 'Square'].map((name, n) => ({ id: `p${n}`, name }))

beforeAll(() => startLanguage('en'))
beforeEach(() => setLanguage('en'))
afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

function city(can: Partial<Abilities>) {
  const routes = new Routes()
  let made = 0
  recordingRoutes(routes.on, POINTS, () => `id-${made++}`)
  routes.on('GET', '/points/:id', ({ params }) => POINTS.find((point) => point.id === params.id))
  answeredBy(routes, can)
}
const rowOf = async (text: string) => {
  const row = (await screen.findByText(text)).closest<HTMLElement>('[role="row"]')
  if (row === null) throw new Error(`${text} stands in no row`)
  return within(row)
}

describe('recording plans', () => {
  it('tell of whom, how and since when', async () => {
    city({ administer: true })
    show(<PlansTab />)
    expect((await rowOf('Class 1')).getByText('Continuously')).toBeDefined()
    expect((await rowOf('Crossing')).getByText(/On event: 10 s before, 30 s after/)).toBeDefined()
    expect((await rowOf('Yard')).getByText('By schedule: 1 stretches a week')).toBeDefined()
    expect((await rowOf('Yard')).getByLabelText(/Change — .*through the API/)).toBeDefined()
  })

  it('change and end, and give the focus back', async () => {
    city({ administer: true })
    show(<PlansTab />)
    const change = (await rowOf('Crossing')).getByText('Change').closest('button')
    change?.focus()
    if (change) fireEvent.click(change)
    let dialog = within(await screen.findByRole('dialog'))
    fireEvent.change(dialog.getByLabelText('Before the event'), { target: { value: '20' } })
    fireEvent.click(dialog.getByText('Save'))
    expect(await screen.findByText(/On event: 20 s before/)).toBeDefined()
    expect(document.activeElement).toBe(change)

    fireEvent.click((await rowOf('Class 1')).getByText('End'))
    dialog = within(await screen.findByRole('dialog'))
    fireEvent.click(dialog.getByText('End'))
    await waitFor(() => expect(screen.queryByText('Class 1')).toBeNull())
  })

  it('are read only, with the reason, for who may not set them', async () => {
    city({ administer: false })
    show(<PlansTab />)
    expect(await screen.findByLabelText('Add a plan — You may not do this')).toBeDefined()
    expect((await rowOf('Class 1')).getByLabelText('End — You may not do this')).toBeDefined()
  })
})
