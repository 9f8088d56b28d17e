import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { render } from '@testing-library/react'
import { App as AntApp } from 'antd'
import type { ReactNode } from 'react'
import { MemoryRouter } from 'react-router'
import { vi } from 'vitest'
import { CUSTOMS } from '../mock/cases.mjs'
import { Refusal, type Routes } from '../mock/routes.mjs'
import type { Abilities } from '../src/api/types'
import { BASE } from '../src/api/client'

/** From now on the mock's own handlers answer, to somebody who may do this. */
export function answeredBy(routes: Routes, can: Partial<Abilities>): void {
  const session = {
    user: { id: 'wang', username: 'wang', display_name: '王', organisation: { id: 'o', name: '指挥中心' } },
    can,
    city: '安澜市',
    purpose: null,
    customs: CUSTOMS,
  }
  routes.on('GET', '/session', () => session)
  const answer = (address: string, init: RequestInit): Response => {
    const url = new URL(address, 'http://mock')
    try {
      const { handler, params } = routes.match(init.method ?? 'GET', url.pathname.replace(BASE, ''))
      const json: unknown = typeof init.body === 'string' ? JSON.parse(init.body) : {}
      const value = handler({ params, q: url.searchParams, json, session })
      return value === undefined ? new Response(null, { status: 204 }) : Response.json(value)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const { status, kind, reason, hint } = error
      return Response.json({ kind, reason, hint }, { status })
    }
  }
  vi.stubGlobal('fetch', (address: string, init: RequestInit) => Promise.resolve(answer(address, init)))
}

/** Part of a page at an address, with all that stands around it; tables have room for their rows. */
export function show(part: ReactNode, address = '/'): void {
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(600)
  vi.spyOn(Element.prototype, 'clientWidth', 'get').mockReturnValue(1200)
  render(
    <AntApp>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <MemoryRouter initialEntries={[address]}>{part}</MemoryRouter>
      </QueryClientProvider>
    </AntApp>,
  )
}
