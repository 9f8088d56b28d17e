import { describe, expect, it } from 'vitest'
import type { Grant } from '../../api/types'
import { blankGrant, dayOf, draftOf, fieldsOf, type GrantFields } from './grants'

const grant: Grant = {
  id: 'g',
  organisation: { id: 'north', name: '北区' },
  departments: ['0101'],
  classes: [1, 2],
  kinds: ['camera'],
  zones: ['video'],
  starts_at: '2026-11-30T03:07:09Z',
  ends_at: '2026-12-31T16:00:00Z',
  live: { days: [0, 4], start: 1320, end: 1440 },
  has_history: true,
  history_from: '2026-11-30T03:07:09Z',
}

describe('a grant and its form', () => {
  it('stays to the microsecond what it was where nothing is touched', () => {
    const { id, organisation, ...rest } = grant
    expect(id).toBe('g')
    expect(draftOf(fieldsOf(grant))).toEqual({ ...rest, organisation: organisation.id })
  })

  it('ends after its last day and begins with its first, in civil time', () => {
    const fields = { ...fieldsOf(grant), from: '2026-12-01', to: '2026-12-15', since: '2026-11-01' }
    const draft = draftOf(fields)
    expect(draft.starts_at).toBe('2026-11-30T16:00:00.000Z')
    expect(draft.ends_at).toBe('2026-12-15T16:00:00.000Z')
    expect(draft.history_from).toBe('2026-10-31T16:00:00.000Z')
  })

  it('tells the three reaches of recordings apart', () => {
    const of = (history: GrantFields['history']) => draftOf({ ...fieldsOf(grant), history })
    expect([of('all').has_history, of('all').history_from]).toEqual([true, null])
    expect([of('none').has_history, of('none').history_from]).toEqual([false, null])
    expect(of('since').history_from).toBe(grant.history_from)
    expect(fieldsOf({ ...grant, has_history: false, history_from: null }).history).toBe('none')
    expect(fieldsOf({ ...grant, history_from: null }).history).toBe('all')
  })

  it('runs to midnight where its hours end at 00:00', () => {
    expect(fieldsOf(grant).end).toBe('00:00')
    expect(draftOf(fieldsOf(grant)).live).toEqual({ days: [0, 4], start: 1320, end: 1440 })
    expect(draftOf({ ...fieldsOf(grant), live: 'always' }).live).toBeNull()
  })

  it('begins now and sees recordings from today on unless somebody says otherwise', () => {
    const fields = { ...blankGrant({ id: 'north', name: '北区' }) } as GrantFields
    expect(draftOf(fields)).toMatchObject({ starts_at: null, ends_at: null, live: null, has_history: true })
    expect(dayOf(draftOf(fields).history_from ?? 0)).toBe(dayOf(Date.now()))
  })
})
