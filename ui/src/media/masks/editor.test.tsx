import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Routes } from '../../../mock/routes.mjs'
import { answeredBy, show } from '../../../test/mocked'
import type { Masks, MasksDraft } from '../../api/types'
import { setLanguage, startLanguage } from '../../i18n'
import { MaskEditor } from './MaskEditor'

const POINT = { id: 'p0', name: 'Gate' }
const WINDOW = [
  [0.2, 0.2],
  [0.4, 0.2],
  [0.4, 0.4],
]

beforeAll(() => startLanguage('en'))
beforeEach(() => setLanguage('en'))
afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

/** A point with one mask, and without a picture. */
function city() {
  const sent: MasksDraft[] = []
  const routes = new Routes()
  const masks: Masks = {
    items: [
      {
        id: 'm1',
        preset: null,
        name: 'Window',
        why: '',
        polygon: WINDOW,
        covers_now: true,
        created_at: '2026-11-21T08:00:00Z',
        created_by: 'li',
        changed_at: '2026-11-21T08:00:00Z',
        changed_by: 'li',
      },
    ],
    next: null,
    version: 'v1',
    preset: null,
  }
  routes.on('GET', '/points/:id/masks', () => masks)
  routes.on('PUT', '/points/:id/masks', ({ json }) => {
    sent.push(json as MasksDraft)
    return { ...masks, version: 'v2' }
  })
  answeredBy(routes, { edit_masks: true })
  return sent
}

describe('the editor of masks', () => {
  it('is used without a pointer: corners move, are added and taken away, masks too', async () => {
    const sent = city()
    const close = vi.fn()
    show(<MaskEditor point={POINT} onClose={close} />)
    const area = await screen.findByLabelText('Mask Window')
    expect(await screen.findByText(/No picture to draw on/)).toBeDefined()
    fireEvent.focus(area)
    fireEvent.keyDown(area, { key: 'ArrowRight' })
    const corner = await screen.findByLabelText('Corner 2 of 3, at 41.0 % and 20.0 %')
    fireEvent.keyDown(corner, { key: 'ArrowDown', shiftKey: true })
    fireEvent.keyDown(await screen.findByLabelText('Corner 2 of 3, at 41.0 % and 20.1 %'), { key: '+' })
    expect(await screen.findByLabelText(/^Corner 3 of 4, at 41.0 %/)).toBeDefined()
    expect(screen.getByText(/a second person must approve/)).toBeDefined()
    fireEvent.click(screen.getByText('Add a rectangle'))
    fireEvent.change(await screen.findByLabelText('Name of mask 2'), { target: { value: ' Door ' } })
    fireEvent.click(screen.getByText('Save'))
    await waitFor(() => expect(close).toHaveBeenCalled())
    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatchObject({ version: 'v1' })
    expect(sent[0]?.items.map(({ id, name }) => [id, name])).toEqual([
      ['m1', 'Window'],
      [null, 'Door'],
    ])
    expect(sent[0]?.items[0]?.polygon).toHaveLength(4)
  })

  it('says what is wrong before it is sent, and that nothing is covered once all are gone', async () => {
    city()
    show(<MaskEditor point={POINT} onClose={() => undefined} />)
    const area = await screen.findByLabelText('Mask Window')
    fireEvent.focus(area)
    const corner = await screen.findByLabelText('Corner 2 of 3, at 40.0 % and 20.0 %')
    for (let n = 0; n < 20; n += 1) fireEvent.keyDown(corner, { key: 'ArrowLeft' })
    const list = within(screen.getByRole('list'))
    expect(await list.findByText(/edges of this mask cross|covers next to nothing/)).toBeDefined()
    expect(screen.getByRole('button', { name: /^Save — / }).getAttribute('aria-disabled')).toBe('true')
    fireEvent.keyDown(await screen.findByLabelText('Mask Window'), { key: 'Delete' })
    expect(await screen.findByText('Nothing is covered at this point.')).toBeDefined()
    expect(screen.getByText(/a second person must approve/)).toBeDefined()
  })
})
