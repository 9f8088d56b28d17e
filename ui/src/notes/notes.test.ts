import { expect, it } from 'vitest'
import type { Note } from '../api/types'
import { groupNotes } from './notes'

const note = (minute: number, id: string | null, cause: string | null, text = 'point_offline'): Note => ({
  level: 'bad',
  text,
  params: id === null ? {} : { id, name: id },
  cause,
  at: new Date(Date.UTC(2026, 10, 22, 12, minute)).toISOString(),
})

it('makes one line of one cause, and says of how many', () => {
  const lines = groupNotes([
    note(9, 'a', 'CX-07'),
    note(8, 'b', 'CX-07'),
    note(8, 'a', 'CX-07'),
    note(7, 'c', null),
  ])
  expect(lines.map(({ times, things, params }) => [times, things, params.id])).toEqual([
    [3, 2, 'a'],
    [1, 1, 'c'],
  ])
})
it('does not join other texts, other points without a cause, or what lies far apart', () => {
  expect(groupNotes([note(9, 'a', 'x'), note(9, 'a', 'x', 'point_online')])).toHaveLength(2)
  expect(groupNotes([note(9, 'a', null), note(9, 'b', null)])).toHaveLength(2)
  expect(groupNotes([note(40, 'a', 'x'), note(9, 'b', 'x')])).toHaveLength(2)
})
