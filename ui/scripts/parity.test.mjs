// @vitest-environment node
import { expect, it } from 'vitest'
import { differences, flatten, placeholders } from './parity.mjs'

const compare = (zh, en) => differences('x', flatten(zh), flatten(en))

it('is content with two that say the same', () => {
  expect(
    compare(
      { a: { b: '{{n}} 个' }, c_one: '甲', c_other: '乙' },
      { a: { b: '{{ n }} points' }, c_one: 'A', c_other: 'B' },
    ),
  ).toEqual([])
})
it('finds what one language lacks, either way', () => {
  expect(compare({ a: '甲', b: '乙' }, { a: 'A', c: 'C' })).toEqual([
    'x:b is missing in en',
    'x:c is missing in zh-CN',
  ])
})
it('finds other placeholders and empty texts', () => {
  expect(compare({ a: '{{n}}', b: ' ' }, { a: '{{m}}', b: 'B' })).toEqual([
    'x:a has other placeholders in en',
    'x:b is empty',
  ])
  expect(placeholders('{{b}} {{ a }}')).toEqual(['a', 'b'])
})
