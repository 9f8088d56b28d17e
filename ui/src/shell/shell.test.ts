import { expect, it } from 'vitest'
import { paths } from '../app/paths'
import type { Abilities } from '../api/types'
import { homeFor, placeAt, placesFor } from '../app/places'
import { resources } from '../i18n'
import { keyRows, keyText } from './KeysOverlay'
import { targetOf } from './SearchDialog'

const can = (...actions: (keyof Abilities)[]) =>
  Object.fromEntries(actions.map((action) => [action, true])) as unknown as Abilities
const keysFor = (...actions: (keyof Abilities)[]) => placesFor(can(...actions)).map(({ key }) => key)

it('has the ten places in their order, each named in both languages', () => {
  expect(keysFor()).toEqual([
    'map',
    'video',
    'playback',
    'checkpoints',
    'alarms',
    'safety',
    'sites',
    'operations',
    'governance',
    'system',
  ])
  const named = [...keysFor(), ...keysFor('approve', 'read_ledger', 'manage_users')]
  for (const { shell } of Object.values(resources))
    expect(Object.keys((shell as { place: object }).place).sort()).toEqual([...new Set(named)].sort())
})

it('shows of governance what the person has of it, and keeps its number', () => {
  const of = (...actions: (keyof Abilities)[]) => placesFor(can(...actions))[8]
  expect(of()).toEqual({ key: 'governance', path: null, number: 9, denied: true })
  expect(of('ask_approval')).toEqual({ key: 'approvals', path: '/approvals', number: 9 })
  expect(of('read_ledger')).toEqual({ key: 'ledger', path: '/ledger', number: 9 })
  expect(placesFor(can('read_ledger'))[9]).toEqual({ key: 'oversight', path: '/oversight', number: null })
  expect(placesFor(can('read_breaches'))[8]).toEqual({ key: 'oversight', path: '/oversight', number: 9 })
  expect(placesFor(can('manage_users')).at(-1)).toMatchObject({ key: 'system', number: 0 })
})

it('knows the place of an address by as much of it as is said', () => {
  const places = placesFor(can('manage_users'))
  const at = (pathname: string, search = '') => placeAt(places, { pathname, search })?.key
  expect(at('/system', '?tab=users')).toBe('accounts')
  expect(at('/system', '?tab=health')).toBe('system')
  expect(at('/map', '?list=1')).toBe('map')
  expect(at('/nowhere')).toBeUndefined()
})

it.each([
  [['view_live'], '/map'],
  [['read_ledger', 'read_points'], '/ledger'],
  [['manage_users', 'read_points'], '/system?tab=users'],
  [['adopt'], '/map'],
] as [(keyof Abilities)[], string][])('who may %s begins at %s', (actions, home) =>
  expect(homeFor(can(...actions))).toBe(home),
)

it('leads from a search result to the thing itself', () => {
  const item = { title: '', subtitle: null, state: null }
  expect(targetOf({ ...item, type: 'point', id: 'p' })).toBe('/map?point=p')
  expect(targetOf({ ...item, type: 'organisation', id: 'o' })).toBe('/map?organisation=o&list=1')
  expect(targetOf({ ...item, type: 'device', id: 'd' })).toBe('/devices?device=d')
  expect(targetOf({ ...item, type: 'page', id: 'system?tab=health' })).toBe('/system?tab=health')
})

it('makes links that can be read back', () => {
  expect(paths.wall(['a', 'b'])).toBe('/wall?points=a%2Cb')
  expect(paths.playback(['a'], '2026-11-22T12:00:00Z')).toBe('/playback?points=a&at=2026-11-22T12%3A00%3A00Z')
  expect(paths.login('/map?x=1')).toBe('/login?next=%2Fmap%3Fx%3D1')
  expect(paths.login('/')).toBe('/login')
})

it('shows keys as they stand on the keyboard, one row for what several of them do', () => {
  expect(['ArrowLeft', 'g 1', 'Alt+f', '?', 'Space', 'Escape'].map(keyText)).toEqual([
    '←',
    'G 1',
    'Alt+F',
    '?',
    'Space',
    'Esc',
  ])
  const run = () => undefined
  expect(
    keyRows([
      { keys: 'ArrowLeft', label: 'select', run },
      { keys: 'ArrowRight', label: 'select', run },
      { keys: '=', label: 'louder', run, again: true },
    ]),
  ).toEqual([{ label: 'select', keys: ['←', '→'] }])
})
