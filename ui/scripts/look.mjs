// Takes a picture of every page, in both themes and languages, from a real browser against the mock:
//   npm run mock & npm run dev & npm run look          → shots/<page>-<theme>-<language>-<size>.png
// LOOK_AT names another address than the dev server's; CHROMIUM another browser; ONLY=map,wall some pages only.
import { mkdirSync } from 'node:fs'
import { chromium } from 'playwright-core'

const base = process.env.LOOK_AT ?? 'http://127.0.0.1:5173'
const only = process.env.ONLY?.split(',')
const shots = new URL('../shots/', import.meta.url).pathname
mkdirSync(shots, { recursive: true })

const PAGES = {
  login: { path: '/login', signedOut: true },
  setup: { path: '/setup/first', signedOut: true },
  map: { path: '/map', ready: '.map-left' },
  point: {
    path: '/map?list=1&kind=watchtower,alarm_point',
    ready: '.table-row',
    then: (page) => page.locator('.table-row').last().click(),
  },
  wall: { path: '/wall' },
  playback: { path: '/playback' },
  waiting: { path: '/devices?tab=waiting', ready: '.table-row' },
  adopted: { path: '/devices?tab=adopted', ready: '.table-row' },
  import: { path: '/devices?tab=import' },
  refusals: { path: '/devices?tab=refusals' },
  health: { path: '/system?tab=health' },
  plans: { path: '/system?tab=plans', ready: '.table-row' },
  holds: { path: '/system?tab=holds', ready: '.table-row' },
  duties: { path: '/system?tab=duties', ready: '.table-row' },
  filing: {
    path: '/system?tab=duties',
    ready: '.table-row',
    then: (page) => page.locator('.row-acts button').nth(3).click(),
  },
  users: { path: '/system?tab=users', ready: '.table-row' },
  settings: { path: '/system?tab=settings' },
}
const VARIANTS = [
  ['dark', 'zh-CN', 1366, 768],
  ['light', 'en', 1366, 768],
  ['light', 'zh-CN', 2560, 1440],
  ['dark', 'en', 2560, 1440],
]

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'],
})
let faults = 0
for (const [theme, language, width, height] of VARIANTS) {
  const context = await browser.newContext({ viewport: { width, height } })
  await context.addInitScript(
    ([t, l]) => {
      localStorage.setItem('anwang.theme', t)
      localStorage.setItem('anwang.language', l)
    },
    [theme, language],
  )
  for (const [name, { path, signedOut, ready, then }] of Object.entries(PAGES)) {
    if (only && !only.includes(name)) continue
    await context.clearCookies()
    if (!signedOut)
      await context.request.post(`${base}/api/v1/session`, { data: { username: 'wang', password: 'anwang' } })
    const page = await context.newPage()
    const complain = (text) => {
      if (/401/.test(text)) return
      faults += 1
      console.error(`${name}: ${text}`)
    }
    page.on('pageerror', (error) => complain(String(error)))
    page.on('console', (message) => message.type() === 'error' && complain(message.text()))
    await page.goto(base + path)
    if (ready) await page.locator(ready).first().waitFor({ timeout: 60_000 })
    await then?.(page)
    await page.waitForTimeout(ready?.startsWith('.map') ? 6_000 : 2_000)
    await page.screenshot({ path: `${shots}${name}-${theme}-${language}-${width}.png` })
    await page.close()
  }
  await context.close()
}
await browser.close()
console.log(`pictures in ${shots}; ${faults} errors in the console`)
process.exit(faults ? 1 : 0)
