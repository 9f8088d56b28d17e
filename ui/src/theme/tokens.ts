/**
 * Every colour of the product, once. `applyTokens` puts them on the page as CSS variables (`var(--bg1)`),
 * `antdTheme` hands them to Ant Design, and the map and canvases read them from here by the same names.
 */
export type ThemeName = 'dark' | 'light'

const dark = {
  bg0: '#0b1015',
  bg1: '#11181f',
  bg2: '#172029',
  bg3: '#1f2a35',
  line: '#263340',
  line2: '#33424f',
  fg0: '#e8eef3',
  fg1: '#b4c0ca',
  fg2: '#7d8c99',
  fg3: '#55636f',
  accent: '#3fb6c9',
  accentD: '#1d5f6b',
  onAccent: '#06191d',
  ok: '#4fb286',
  warn: '#d9a441',
  bad: '#e0655d',
  unk: '#7d8b98',
  l1: '#e5484d',
  l2: '#ee8433',
  l3: '#e2c044',
  l4: '#4b8fe0',
  rec: '#5c7690',
  mot: '#d9a441',
  lock: '#9a7fd1',
  land: '#0d1319',
  water: '#10212b',
  road: '#1b2530',
  roadMain: '#273644',
  video: '#000000',
  onVideo: '#ffffff',
}

export type Tokens = { [K in keyof typeof dark]: string }

const light: Tokens = {
  bg0: '#e9eef2',
  bg1: '#ffffff',
  bg2: '#f3f6f8',
  bg3: '#dde7ed',
  line: '#d3dce3',
  line2: '#a9b7c2',
  fg0: '#13202a',
  fg1: '#354552',
  fg2: '#566570',
  fg3: '#95a2ad',
  accent: '#0a6c7e',
  accentD: '#c3e4ea',
  onAccent: '#ffffff',
  ok: '#1b7650',
  warn: '#8a5d00',
  bad: '#bb342b',
  unk: '#5e6b76',
  l1: '#c4252a',
  l2: '#b04d06',
  l3: '#836800',
  l4: '#2361b0',
  rec: '#5c7690',
  mot: '#b17d17',
  lock: '#7048b5',
  land: '#e3e9ee',
  water: '#bfd8e3',
  road: '#ffffff',
  roadMain: '#ffffff',
  video: '#000000',
  onVideo: '#ffffff',
}

export const tokens: Record<ThemeName, Tokens> = { dark, light }

export const fontSans =
  '"Inter Variable", "Noto Sans SC Variable", "PingFang SC", "Microsoft YaHei", system-ui, sans-serif'
export const fontMono = '"JetBrains Mono", "Noto Sans SC Variable", ui-monospace, monospace'

/** `accentD` becomes `--accent-d`. */
export function cssName(token: string): string {
  return `--${token.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

export function applyTokens(theme: ThemeName): void {
  const root = document.documentElement
  root.dataset.theme = theme
  for (const [token, value] of Object.entries(tokens[theme])) root.style.setProperty(cssName(token), value)
  root.style.setProperty('--font-sans', fontSans)
  root.style.setProperty('--font-mono', fontMono)
}
