import { describe, expect, it } from 'vitest'
import { antdTheme } from './antd'
import { cssName, tokens, type ThemeName, type Tokens } from './tokens'

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => {
    const c = parseInt(hex.slice(i, i + 2), 16) / 255
    return c <= 0.040_45 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
function contrast(a: string, b: string): number {
  const [dark = 0, bright = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (bright + 0.05) / (dark + 0.05)
}

const READABLE = 4.5
const pairs: [keyof Tokens, (keyof Tokens)[]][] = [
  ['fg0', ['bg0', 'bg1', 'bg2', 'bg3']],
  ['fg1', ['bg0', 'bg1', 'bg2', 'bg3']],
  ['fg2', ['bg0', 'bg1', 'bg2']],
  ['accent', ['bg0', 'bg1', 'bg2']],
  ['onAccent', ['accent']],
  ['ok', ['bg0', 'bg1', 'bg2']],
  ['warn', ['bg0', 'bg1', 'bg2']],
  ['bad', ['bg0', 'bg1', 'bg2']],
  ['unk', ['bg0', 'bg1', 'bg2']],
]

describe.each(['dark', 'light'] as ThemeName[])('%s', (theme) => {
  const cases = pairs.flatMap(([text, grounds]) => grounds.map((ground) => [text, ground] as const))
  it.each(cases)('%s can be read on %s', (text, ground) => {
    expect(contrast(tokens[theme][text], tokens[theme][ground])).toBeGreaterThanOrEqual(READABLE)
  })
  it('dresses Ant Design in the same colours', () => {
    expect(antdTheme(theme).token).toMatchObject({
      colorPrimary: tokens[theme].accent,
      colorText: tokens[theme].fg0,
    })
  })
})

it('names CSS variables after the tokens', () => {
  expect(cssName('accentD')).toBe('--accent-d')
  expect(Object.keys(tokens.light)).toEqual(Object.keys(tokens.dark))
})
