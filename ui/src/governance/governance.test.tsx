import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { App as AntApp } from 'antd'
import { MemoryRouter, Route, Routes } from 'react-router'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { setLanguage, startLanguage } from '../i18n'
import { LoginPage, safeNext } from './LoginPage'
import { useSession, useSignOut } from './session'

beforeAll(() => startLanguage('en'))
beforeEach(() => setLanguage('en'))
afterEach(() => vi.unstubAllGlobals())

it.each([
  ['/map?point=1', '/map?point=1'],
  [null, '/'],
  ['', '/'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example', '/'],
  ['map', '/'],
])('after sign-in %s leads to %s', (next, to) => expect(safeNext(next)).toBe(to))

const show = () =>
  render(
    <AntApp>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <MemoryRouter initialEntries={['/login?next=%2Fdevices']}>
          <Routes>
            <Route path="/login" element={<LoginPage />} />
            <Route path="/devices" element={<p>the devices</p>} />
          </Routes>
        </MemoryRouter>
      </QueryClientProvider>
    </AntApp>,
  )
const fill = async (password: string) => {
  const user = userEvent.setup()
  await user.click(screen.getByLabelText('User name'))
  await user.paste('wang')
  await user.click(screen.getByLabelText('Password'))
  await user.paste(password)
  await user.click(screen.getByRole('button', { name: 'Sign in' }))
}

describe('sign-in', () => {
  function serve(password: string) {
    let inside = false
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      if (url === '/api/v1/session' && init.method === 'POST') {
        inside = (JSON.parse(init.body as string) as { password: string }).password === password
        return Promise.resolve(
          inside
            ? Response.json({ token: 't', expires_at: '2026-11-23T00:00:00Z' })
            : Response.json({ kind: 'unauthenticated', reason: 'no', hint: null }, { status: 401 }),
        )
      }
      return Promise.resolve(
        inside
          ? Response.json({ user: { display_name: 'Wang' }, can: {}, city: '安澜市' })
          : Response.json({ kind: 'unauthenticated', reason: 'sign in', hint: null }, { status: 401 }),
      )
    })
  }
  it('leads where one was going', async () => {
    serve('right-password')
    show()
    await fill('right-password')
    expect(await screen.findByText('the devices')).toBeDefined()
  })
  it('says that it was wrong, and not which of the two', async () => {
    serve('right-password')
    show()
    await fill('wrong')
    expect((await screen.findByRole('alert')).textContent).toContain('User name or password is wrong')
  })
})

describe('a second factor', () => {
  it('is asked for once the password was right', async () => {
    const asked: Record<string, string>[] = []
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      if (url === '/api/v1/session' && init.method === 'POST') {
        const body = JSON.parse(init.body as string) as Record<string, string>
        asked.push(body)
        return Promise.resolve(
          body.code === '123456'
            ? Response.json({ token: 't', expires_at: '2026-11-23T00:00:00Z' })
            : Response.json(
                { kind: 'second_factor_needed', reason: 'a code', hint: 'type it' },
                { status: 401 },
              ),
        )
      }
      return Promise.resolve(
        asked.at(-1)?.code === '123456'
          ? Response.json({ user: { display_name: 'Wang' }, can: {}, city: '安澜市' })
          : Response.json({ kind: 'unauthenticated', reason: 'sign in', hint: null }, { status: 401 }),
      )
    })
    const user = userEvent.setup()
    show()
    expect(await screen.findByLabelText('User name')).toBeDefined()
    expect(screen.queryByLabelText('Code of your app')).toBeNull()
    await fill('a good password')
    await user.click(await screen.findByLabelText('Code of your app'))
    await user.paste('123456')
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    expect(await screen.findByText('the devices')).toBeDefined()
    expect(asked.map((one) => one.code)).toEqual([undefined, '123456'])
  })
})

describe('signing out', () => {
  function Room() {
    const session = useSession()
    const signOut = useSignOut()
    if (session.data === null) return <p>nobody</p>
    return <button onClick={() => signOut.mutate()}>{session.data?.user.display_name ?? '…'}</button>
  }

  it.each([
    ['goes through', 204],
    ['meets a dead server', 503],
  ])('forgets who was here and what they read, also when it %s', async (_, status) => {
    vi.stubGlobal('fetch', (_url: string, init: RequestInit) =>
      Promise.resolve(
        init.method === 'DELETE'
          ? new Response(null, { status })
          : Response.json({ user: { display_name: 'Wang' }, can: {}, city: '' }),
      ),
    )
    const client = new QueryClient()
    client.setQueryData(['points'], ['secret'])
    render(
      <QueryClientProvider client={client}>
        <Room />
      </QueryClientProvider>,
    )
    await userEvent.click(await screen.findByText('Wang'))
    expect(await screen.findByText('nobody')).toBeDefined()
    expect(client.getQueryData(['points'])).toBeUndefined()
  })
})
