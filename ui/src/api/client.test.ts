import { afterEach, describe, expect, it, vi } from 'vitest'
import { ApiError, fetched, onSignedOut, pathWith, request, urlOf } from './client'

function answer(status: number, body: string, type = 'application/json') {
  const fetch = vi.fn(() =>
    Promise.resolve(
      new Response(status === 204 ? null : body, { status, headers: { 'Content-Type': type } }),
    ),
  )
  vi.stubGlobal('fetch', fetch)
  return fetch
}

afterEach(() => vi.unstubAllGlobals())

describe('pathWith', () => {
  it('joins lists by commas and leaves out what is empty', () => {
    expect(
      pathWith('/points', { kind: ['camera', 'sensor'], q: '', state: null, limit: 50, cursor: undefined }),
    ).toBe('/points?kind=camera%2Csensor&limit=50')
    expect(pathWith('/points', { kind: [] })).toBe('/points')
  })
  it('encodes what people type', () => {
    expect(urlOf('/search', { q: '建安 & 路' })).toBe('/api/v1/search?q=%E5%BB%BA%E5%AE%89+%26+%E8%B7%AF')
  })
})

describe('request', () => {
  it('gives the value', async () => {
    const fetch = answer(200, '{"a":1}')
    expect(await request('GET', '/x')).toEqual({ kind: 'success', value: { a: 1 } })
    expect(fetch).toHaveBeenCalledWith('/api/v1/x', expect.objectContaining({ credentials: 'same-origin' }))
  })
  it('takes an empty answer as nothing', async () => {
    answer(204, '')
    expect(await request('DELETE', '/x')).toEqual({ kind: 'success', value: undefined })
  })
  it('carries the error shape', async () => {
    answer(409, '{"kind":"conflict","reason":"taken","hint":"choose another"}')
    const outcome = await request('POST', '/users', { json: {} })
    expect(outcome.kind).toBe('error')
    if (outcome.kind !== 'error') return
    expect(outcome.error).toMatchObject({
      status: 409,
      kind: 'conflict',
      reason: 'taken',
      hint: 'choose another',
    })
  })
  it.each(['<html>bad gateway</html>', '', '[]', 'null', '{"kind":7}'])(
    'survives a broken error body: %s',
    async (body) => {
      answer(502, body, 'text/html')
      const outcome = await request('GET', '/x')
      expect(outcome).toMatchObject({ kind: 'error', error: { status: 502, kind: 'http_502' } })
    },
  )
  it('says network when nothing answers, and when an answer is no JSON', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')))
    expect(await request('GET', '/x')).toMatchObject({ kind: 'error', error: { status: 0, kind: 'network' } })
    answer(200, '<html>')
    expect((await request('GET', '/x')).kind).toBe('error')
  })
  it('tells an abort from a failure', async () => {
    const abort = new AbortController()
    vi.stubGlobal('fetch', () => {
      abort.abort()
      return Promise.reject(new DOMException('aborted', 'AbortError'))
    })
    expect(await request('GET', '/x', { signal: abort.signal })).toEqual({ kind: 'aborted' })
    await expect(fetched('GET', '/x', { signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' })
  })
  it('tells whoever listens of a 401, until they stop listening', async () => {
    answer(401, '{"kind":"unauthenticated","reason":"sign in","hint":null}')
    const heard = vi.fn()
    const stop = onSignedOut(heard)
    await request('GET', '/x')
    expect(heard).toHaveBeenCalledTimes(1)
    stop()
    await request('GET', '/x')
    expect(heard).toHaveBeenCalledTimes(1)
  })
  it('sends a raw body under its own type', async () => {
    const fetch = answer(202, '{"id":"1"}')
    await request('POST', '/imports', { query: { kind: 'points' }, raw: { body: 'a,b', type: 'text/csv' } })
    expect(fetch).toHaveBeenCalledWith(
      '/api/v1/imports?kind=points',
      expect.objectContaining({
        body: 'a,b',
        headers: expect.objectContaining({ 'Content-Type': 'text/csv' }) as unknown,
      }),
    )
  })
})

it('fetched throws the refusal', async () => {
  answer(403, '{"kind":"forbidden","reason":"no","hint":null}')
  await expect(fetched('GET', '/x')).rejects.toBeInstanceOf(ApiError)
})
