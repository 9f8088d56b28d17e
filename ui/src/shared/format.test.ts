import i18next from 'i18next'
import { beforeAll, describe, expect, it } from 'vitest'
import { setLanguage, startLanguage } from '../i18n'
import { age, ago, clock, coordinates, count, dayClock, rangeText, stamp } from './format'

const noon = '2026-11-22T16:41:07Z'

describe('times at the edge', () => {
  it('are of Shanghai whatever the browser thinks', () => {
    expect(clock(noon)).toBe('00:41:07')
    expect(dayClock(noon)).toBe('11-23 00:41:07')
    expect(stamp(noon)).toBe('2026-11-23 00:41:07')
  })
  it('of a range say the day once', () => {
    expect(rangeText(noon, '2026-11-22T16:43:00Z')).toBe('2026-11-23 00:41:07 – 00:43:00')
    expect(rangeText('2026-11-22T15:59:59Z', noon)).toBe('2026-11-22 23:59:59 – 2026-11-23 00:41:07')
  })
})

describe('ages', () => {
  beforeAll(() => startLanguage('zh-CN'))
  it('are said in the unit that fits, in both languages', async () => {
    const { t } = i18next
    expect([0.31, 12, 89, 90, 5_000, 7_200, 200_000].map((s) => age(s, t))).toEqual([
      '0.3 秒',
      '12 秒',
      '89 秒',
      '2 分钟',
      '83 分钟',
      '2 小时',
      '2 天',
    ])
    expect(ago(-3, t)).toBe('0.0 秒前')
    await setLanguage('en')
    expect(ago(12, i18next.t)).toBe('12 s ago')
  })
})

it('numbers and places', () => {
  expect(count(1_168)).toBe('1,168')
  expect(coordinates(93.19, -38.380_004)).toBe('93.19000°E 38.38000°S')
})
