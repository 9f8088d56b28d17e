import { expect, it } from 'vitest'
import { paths } from '../app/paths'
import { places } from '../app/places'
import { resources } from '../i18n'
import { keyRows, keyText } from './KeysOverlay'
import { targetOf } from './SearchDialog'

it('has the ten places in their order, each named in both languages', () => {
  expect(places.map(({ key }) => key)).toEqual([
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
  for (const { shell } of Object.values(resources))
    expect(Object.keys((shell as { place: object }).place)).toEqual(places.map(({ key }) => key))
})

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
