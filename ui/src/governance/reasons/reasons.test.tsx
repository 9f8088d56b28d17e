import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import { useState } from 'react'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { caseRoutes } from '../../../mock/cases.mjs'
import { Refusal, Routes } from '../../../mock/routes.mjs'
import { answeredBy, show } from '../../../test/mocked'
import { fetched } from '../../api/client'
import type { Abilities, Purpose } from '../../api/types'
import { setLanguage, startLanguage } from '../../i18n'
import { PurposeChip } from './PurposeChip'
import { distinct } from './purposes'
import { ReasonsProvider } from './Reasons'
import { useGoesOn, useReasons } from './useReasons'

const POINTS = [
  { id: 'p0', name: 'Gate' },
  { id: 'p1', name: 'Yard' },
]
const NOW = Date.now()
const EVERYTHING = { open_purpose: true, ask_approval: true, export: true }

beforeAll(() => startLanguage('en'))
beforeEach(() => setLanguage('en'))
afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

function city(can: Partial<Abilities> = EVERYTHING) {
  const routes = new Routes()
  let made = 0
  const check = caseRoutes(routes.on, POINTS, () => `id-${made++}`)
  routes.on('GET', '/clip', ({ q, session }) => {
    check(session, 'p0', q.get('from') ?? '', q.get('to') ?? '')
    return { file: 'clip' }
  })
  routes.on('GET', '/broken', () => {
    throw new Refusal()
  })
  answeredBy(routes, can)
}

function Download({ minutes }: { minutes: number }) {
  const reasons = useReasons()
  const [done, setDone] = useState('nothing yet')
  const start = NOW - 3_600_000
  const end = start + minutes * 60_000
  const query = { from: new Date(start).toISOString(), to: new Date(end).toISOString() }
  const load = () =>
    reasons
      .insist(() => fetched<{ file: string }>('GET', '/clip', { query }), {
        points: POINTS.slice(0, 1),
        start,
        end,
      })
      .then(
        (saved) => setDone(saved === null ? 'left' : saved.file),
        (error: unknown) => setDone(String(error)),
      )
  return (
    <>
      <button onClick={() => void load()}>download</button>
      <output>{done}</output>
    </>
  )
}

const download = (minutes: number) => {
  show(
    <ReasonsProvider>
      <PurposeChip />
      <Download minutes={minutes} />
    </ReasonsProvider>,
  )
}
const outcome = () => screen.getByRole('status').textContent
const dialog = async (name: RegExp) => within(await screen.findByRole('dialog', { name }))

async function statePurpose(number = 'A-118') {
  const asked = await dialog(/State a purpose/)
  fireEvent.click(asked.getByText('Criminal case'))
  fireEvent.change(asked.getByLabelText('Case number'), { target: { value: number } })
  fireEvent.submit(asked.getByLabelText('Case number'))
}

/** The session's answer is there: what may be done is known. */
const entered = () => screen.findByRole('button', { name: /State a purpose/ })

describe('what an answer says is missing', () => {
  it('is asked for in place, and the act goes on by itself', async () => {
    city()
    download(5)
    await entered()
    fireEvent.click(screen.getByText('download'))
    const asked = await dialog(/State a purpose/)
    expect(asked.getByRole('alert').textContent).toContain('a purpose must be stated for this')
    expect(asked.getByLabelText<HTMLInputElement>('Unit').value).toBe('指挥中心')
    await statePurpose()
    await waitFor(() => expect(outcome()).toBe('clip'))
    expect(screen.getByRole('button', { name: /Purpose: Criminal case A-118, 60 min left/ })).toBeDefined()
  })

  it('may be left, and then nothing happens', async () => {
    city()
    download(5)
    await entered()
    fireEvent.click(screen.getByText('download'))
    fireEvent.click((await dialog(/State a purpose/)).getByText('Cancel'))
    await waitFor(() => expect(outcome()).toBe('left'))
  })

  it('is a second person after the purpose; an ordinary request says where to watch it', async () => {
    city()
    download(20)
    await entered()
    fireEvent.click(screen.getByText('download'))
    await statePurpose()
    const asked = await dialog(/Ask for approval/)
    expect(asked.getByText('Gate')).toBeDefined()
    expect(asked.getByText(/Criminal case · A-118/)).toBeDefined()
    fireEvent.click(asked.getByText('Send the request'))
    expect(await asked.findByText('Say why')).toBeDefined()
    fireEvent.change(asked.getByLabelText('Reason'), { target: { value: 'the car passes' } })
    fireEvent.click(asked.getByText('Send the request'))
    const sent = await dialog(/The request is sent/)
    const link = new URL(sent.getByText<HTMLAnchorElement>('Watch it under Approvals').href)
    expect([link.pathname, link.searchParams.get('tab')]).toEqual(['/approvals', 'mine'])
    fireEvent.click(sent.getByText('Watch it under Approvals'))
    await waitFor(() => expect(outcome()).toBe('left'))
  })

  it('goes on at once when it is urgent, and says what that costs', async () => {
    city()
    download(20)
    await entered()
    fireEvent.click(screen.getByText('download'))
    await statePurpose()
    const asked = await dialog(/Ask for approval/)
    fireEvent.change(asked.getByLabelText('Reason'), { target: { value: 'a child is missing' } })
    fireEvent.click(asked.getByLabelText(/Urgent/))
    expect(await asked.findByText(/within 24 hours, otherwise your account is suspended/)).toBeDefined()
    fireEvent.click(asked.getByText('Send as urgent and go on'))
    await waitFor(() => expect(outcome()).toBe('clip'))
  })

  it('stays a refusal for who may not state purposes', async () => {
    city({ export: true })
    download(5)
    fireEvent.click(screen.getByText('download'))
    await waitFor(() => expect(outcome()).toContain('a purpose must be stated'))
    expect(screen.queryByRole('dialog')).toBeNull()
  })
})

describe('a picture that lacks a purpose', () => {
  const again = [vi.fn<() => void>(), vi.fn<() => void>()]
  function Picture({ n }: { n: number }) {
    const goOn = useGoesOn({ kind: 'purpose_needed', reason: 'a purpose must be stated for this' }, () =>
      again[n]?.(),
    )
    return goOn ? <button onClick={goOn}>{`picture ${n}`}</button> : null
  }
  const pictures = () => {
    for (const one of again) one.mockReset()
    show(
      <ReasonsProvider>
        <Picture n={0} />
        <Picture n={1} />
      </ReasonsProvider>,
    )
  }

  it('asks once for all of them, and each goes on', async () => {
    city()
    pictures()
    await dialog(/State a purpose/)
    expect(screen.getAllByRole('dialog')).toHaveLength(1)
    await statePurpose()
    await waitFor(() => expect(again.map((one) => one.mock.calls.length)).toEqual([1, 1]))
  })

  it('does not ask again by itself when it was left, but when told to', async () => {
    city()
    pictures()
    fireEvent.click((await dialog(/State a purpose/)).getByText('Cancel'))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
    fireEvent.click(screen.getByText('picture 1'))
    await statePurpose()
    await waitFor(() => expect(again.map((one) => one.mock.calls.length)).toEqual([1, 1]))
  })
})

describe('the purpose in the top bar', () => {
  it('is stated by its key, shown with all it says, and ended', async () => {
    city()
    show(
      <ReasonsProvider>
        <PurposeChip />
      </ReasonsProvider>,
    )
    await entered()
    fireEvent.keyDown(document.body, { key: 'p', altKey: true })
    await statePurpose('B-7')
    fireEvent.click(await screen.findByRole('button', { name: /Purpose: Criminal case B-7/ }))
    fireEvent.click(await screen.findByText('End it'))
    expect(await entered()).toBeDefined()
  })

  it('warns when it is about to end', async () => {
    const routes = new Routes()
    answeredBy(routes, EVERYTHING)
    routes.on('GET', '/purposes', () => ({ items: [], next: null }))
    const purpose: Purpose = {
      id: 'x',
      kind: 'traffic',
      case_no: 'C-1',
      unit: 'u',
      note: '',
      opened_at: new Date(NOW - 3_600_000).toISOString(),
      expires_at: new Date(NOW + 4 * 60_000).toISOString(),
    }
    const answer = routes.match('GET', '/session').handler
    const session = answer({ params: {}, q: new URLSearchParams(), json: {}, session: null }) as
      { purpose: Purpose | null } | undefined
    if (session) session.purpose = purpose
    act(() =>
      show(
        <ReasonsProvider>
          <PurposeChip />
        </ReasonsProvider>,
      ),
    )
    const chip = await screen.findByRole('button', { name: /Purpose: Traffic C-1/ })
    expect(chip.className).toContain('purpose-ending')
  })
})

it('offers each case once, the latest first', () => {
  const one = (id: string, case_no: string) =>
    ({ id, kind: 'traffic', case_no, unit: 'u', note: '', opened_at: '', expires_at: '' }) as const
  expect(distinct([one('3', 'A'), one('2', 'B'), one('1', 'A')]).map(({ id }) => id)).toEqual(['3', '2'])
})
