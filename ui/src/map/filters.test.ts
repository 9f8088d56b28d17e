import { describe, expect, it } from 'vitest'
import {
  everything,
  isShown,
  KINDS,
  listQuery,
  only,
  readFilters,
  showsNothing,
  tileQuery,
  toggled,
  writeFilters,
  type Filters,
} from './filters'

const read = (text: string) => readFilters(new URLSearchParams(text))

describe('filters in the address', () => {
  const cases: Filters[] = [
    everything,
    { kind: ['camera', 'sensor'], class: [1, 9], state: ['offline'], owner: ['o1', 'o2'] },
    { kind: [], class: [], state: [], owner: [] },
  ]
  it.each(cases)('come back as they went: %j', (filters) => {
    expect(readFilters(writeFilters(new URLSearchParams(), filters))).toEqual(filters)
  })
  it('leave the rest of the address alone, and leave no trace when all is shown', () => {
    const search = writeFilters(new URLSearchParams('point=7&kind=camera'), everything)
    expect(search.toString()).toBe('point=7')
  })
  it.each(['kind=ufo', 'class=4,x', 'state=', 'kind=camera,checkpoint,alarm_point,sensor,watchtower'])(
    'takes %s for no filter',
    (text) => expect(read(text)).toEqual(everything),
  )
  it('keeps what it knows of a half-wrong list, in our order', () => {
    expect(read('kind=sensor,ufo,camera').kind).toEqual(['camera', 'sensor'])
  })
})

describe('switching', () => {
  it('hides one of all, shows it again, and then there is no filter', () => {
    const hidden = toggled(null, KINDS, 'camera')
    expect(hidden).toEqual(['checkpoint', 'alarm_point', 'sensor', 'watchtower'])
    expect(toggled(hidden, KINDS, 'camera')).toBeNull()
  })
  it('can hide everything', () => {
    expect(toggled(['camera'], KINDS, 'camera')).toEqual([])
    expect(isShown([], 'camera')).toBe(false)
    expect(isShown(null, 'camera')).toBe(true)
  })
  it('shows one alone, and all when asked again', () => {
    expect(only(null, 'camera')).toEqual(['camera'])
    expect(only(['camera'], 'camera')).toBeNull()
    expect(only(['camera', 'sensor'], 'camera')).toEqual(['camera'])
  })
})

describe('what the server is asked', () => {
  const filters: Filters = { kind: ['camera'], class: null, state: ['offline'], owner: ['o'] }
  it('never puts the state into a tile: tiles would be cut anew with each change', () => {
    expect(tileQuery(filters)).toEqual({ kinds: 'camera', owners: 'o' })
  })
  it('asks the list for all of it', () => {
    expect(listQuery(filters)).toEqual({ kind: 'camera', state: 'offline', owner: 'o' })
    expect(listQuery(everything)).toEqual({})
  })
  it('knows when there is nothing to ask for: to the server, no values would mean all', () => {
    expect(showsNothing({ ...everything, class: [] })).toBe(true)
    expect(showsNothing(filters)).toBe(false)
    expect(showsNothing(everything)).toBe(false)
  })
})
