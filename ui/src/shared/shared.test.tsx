import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { act, fireEvent, render, screen } from '@testing-library/react'
import { MemoryRouter, Route, Routes } from 'react-router'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError } from '../api/client'
import { worthRetrying } from '../app/queryClient'
import { setLanguage, startLanguage } from '../i18n'
import { Act } from './Act'
import { DataTable } from './DataTable'
import { Failed } from './Face'
import { useKeys } from './keys'
import { StateMark } from './StateMark'

beforeAll(() => startLanguage('en'))
beforeEach(() => setLanguage('en'))
afterEach(() => vi.restoreAllMocks())

describe('Act', () => {
  it('does what it is for', () => {
    const run = vi.fn()
    render(<Act run={run}>Publish</Act>, { wrapper: MemoryRouter })
    fireEvent.click(screen.getByRole('button', { name: 'Publish' }))
    expect(run).toHaveBeenCalledTimes(1)
  })
  it('leads to a page without loading the product anew', () => {
    render(
      <MemoryRouter>
        <Act to="/wall?points=1">To wall</Act>
        <Routes>
          <Route path="/wall" element={<p>the wall</p>} />
          <Route path="*" element={null} />
        </Routes>
      </MemoryRouter>,
    )
    fireEvent.click(screen.getByRole('link', { name: 'To wall' }))
    expect(screen.getByText('the wall')).toBeDefined()
  })
  it('stands disabled with its reason and does nothing', () => {
    const run = vi.fn()
    render(
      <Act run={run} reason="You may not do this">
        Publish
      </Act>,
      { wrapper: MemoryRouter },
    )
    const off = screen.getByRole('button', { name: 'Publish — You may not do this' })
    expect(off.getAttribute('aria-disabled')).toBe('true')
    fireEvent.click(off)
    expect(run).not.toHaveBeenCalled()
  })
})

describe('faces of failure', () => {
  it.each([
    [new ApiError(403, 'forbidden', 'No right to look', 'Ask the bureau'), 'status', 'No right to look'],
    [new ApiError(404, 'not_found', 'x'), 'status', 'Not found, or outside what you may see.'],
    [
      new ApiError(0, 'network', 'Failed to fetch'),
      'alert',
      'The server cannot be reached. Check the network and try again.',
    ],
    [new ApiError(500, 'internal', 'The store is full'), 'alert', 'The store is full'],
  ])('%s', (error, role, text) => {
    const retry = vi.fn()
    render(<Failed error={error} retry={retry} />)
    expect(screen.getByRole(role).textContent).toContain(text)
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }))
    expect(retry).toHaveBeenCalledTimes(1)
  })
})

it('a refusal is not asked again, a lost answer is, twice', () => {
  expect(worthRetrying(0, new ApiError(403, 'forbidden', ''))).toBe(false)
  expect(worthRetrying(1, new ApiError(503, 'busy', ''))).toBe(true)
  expect(worthRetrying(2, new ApiError(0, 'network', ''))).toBe(false)
})

it('state is said in words too', () => {
  render(<StateMark state="offline" />)
  expect(screen.getByRole('img', { name: 'Offline' })).toBeDefined()
})

describe('keys', () => {
  function Bound({ run, go }: { run: () => void; go: () => void }) {
    useKeys('test', [
      { keys: '?', label: 'help', run },
      { keys: 'Ctrl+K', label: 'search', run, always: true },
      { keys: 'g 1', label: 'map', run: go },
      { keys: 'Enter', label: 'open', run: go },
      { keys: 'Space', label: 'play', run: go },
      { keys: 'Escape', label: 'back', run: go },
      { keys: 'x', label: 'anywhere', run, inDialogs: true },
    ])
    return (
      <>
        <input aria-label="field" />
        <button>grid</button>
        <div className="ant-modal">
          <button>days</button>
        </div>
      </>
    )
  }
  const press = (target: Element | Window, key: string, ctrlKey = false) =>
    act(() => {
      fireEvent.keyDown(target, { key, ctrlKey })
    })

  it('work on the page, in sequence, and not while typing', () => {
    const run = vi.fn()
    const go = vi.fn()
    const { unmount } = render(<Bound run={run} go={go} />)
    const field = screen.getByLabelText('field')
    press(document.body, '?')
    expect(run).toHaveBeenCalledTimes(1)
    press(field, '?')
    expect(run).toHaveBeenCalledTimes(1)
    press(field, 'k', true)
    expect(run).toHaveBeenCalledTimes(2)
    press(document.body, '1')
    expect(go).not.toHaveBeenCalled()
    press(document.body, 'g')
    press(document.body, '1')
    expect(go).toHaveBeenCalledTimes(1)
    unmount()
    press(document.body, '?')
    expect(run).toHaveBeenCalledTimes(2)
  })
  it.each(['Enter', ' '])(
    '%o presses the button that the keyboard has gone to, and does nothing else',
    (key) => {
      const go = vi.fn()
      render(<Bound run={vi.fn()} go={go} />)
      press(document.body, key)
      expect(go).toHaveBeenCalledTimes(1)
      const button = screen.getByText('grid')
      button.focus()
      expect(fireEvent.keyDown(button, { key })).toBe(true) // the browser may press it
      expect(go).toHaveBeenCalledTimes(1)
    },
  )
  it('of the page rest while a dialog is open', () => {
    const run = vi.fn()
    const go = vi.fn()
    render(<Bound run={run} go={go} />)
    const button = screen.getByText('days')
    for (const key of ['Escape', ' ', 'g', '1', '?']) press(button, key)
    expect([run, go].map((one) => one.mock.calls.length)).toEqual([0, 0])
    press(button, 'x')
    press(button, 'k', true)
    expect(run).toHaveBeenCalledTimes(2)
  })
  it('leave Escape to a menu that is open', () => {
    const go = vi.fn()
    render(<Bound run={vi.fn()} go={go} />)
    const menu = document.createElement('div')
    menu.className = 'ant-dropdown'
    document.body.append(menu)
    press(document.body, 'Escape')
    expect(go).not.toHaveBeenCalled()
    menu.classList.add('ant-dropdown-hidden')
    press(document.body, 'Escape')
    expect(go).toHaveBeenCalledTimes(1)
    menu.remove()
  })
})

describe('DataTable', () => {
  const rows = Array.from({ length: 5_000 }, (_, i) => ({ id: `r${i}` }))
  const columns = [{ key: 'id', title: 'Name', width: '1fr', render: (row: { id: string }) => row.id }]
  const client = new QueryClient()

  it('makes only the rows in sight, walks by arrows and opens by Enter', () => {
    // jsdom lays nothing out: the scroller is given the height it would have.
    vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(400)
    vi.spyOn(Element.prototype, 'clientWidth', 'get').mockReturnValue(600)
    const open = vi.fn()
    render(
      <QueryClientProvider client={client}>
        <DataTable label="Points" rows={rows} columns={columns} rowKey={(row) => row.id} onOpen={open} />
      </QueryClientProvider>,
    )
    const shown = screen.getAllByRole('row').length
    expect(shown).toBeGreaterThan(5)
    expect(shown).toBeLessThan(60)
    expect(screen.getByRole('grid', { name: 'Points' }).getAttribute('aria-rowcount')).toBe('5001')
    const first = screen.getAllByRole('row')[1]
    if (!first) throw new Error('no row')
    fireEvent.keyDown(first, { key: 'ArrowDown' })
    fireEvent.keyDown(first, { key: 'Enter' })
    expect(open).toHaveBeenCalledWith(rows[1])
  })
  it('shows its empty face', () => {
    render(
      <DataTable
        label="Points"
        rows={[]}
        columns={columns}
        rowKey={(row) => row.id}
        empty={<p>nothing yet</p>}
      />,
    )
    expect(screen.getByText('nothing yet')).toBeDefined()
  })
})
