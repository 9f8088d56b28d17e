// Both languages say the same things: same namespaces, keys and placeholders; every key the code names exists.
import { readFileSync, readdirSync, existsSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../src', import.meta.url))

/** @param {Record<string, unknown>} tree @returns {Map<string, string>} */
export function flatten(tree, prefix = '') {
  const out = new Map()
  for (const [key, value] of Object.entries(tree)) {
    const path = prefix ? `${prefix}.${key}` : key
    if (value && typeof value === 'object') for (const [k, v] of flatten(value, path)) out.set(k, v)
    else out.set(path, String(value))
  }
  return out
}

/** @param {string} text */
export const placeholders = (text) => [...text.matchAll(/\{\{\s*(\w+)/g)].map((m) => m[1]).sort()

const plural = (key) => key.replace(/_(zero|one|two|few|many|other)$/, '')

/** @returns {string[]} what differs between two flattened languages */
export function differences(namespace, zh, en) {
  const faults = []
  const names = (map) => new Set([...map.keys()].map(plural))
  for (const key of names(zh)) if (!names(en).has(key)) faults.push(`${namespace}:${key} is missing in en`)
  for (const key of names(en)) if (!names(zh).has(key)) faults.push(`${namespace}:${key} is missing in zh-CN`)
  for (const [key, text] of zh) {
    const other = en.get(key) ?? en.get(`${plural(key)}_other`)
    if (other !== undefined && placeholders(text).join() !== placeholders(other).join())
      faults.push(`${namespace}:${key} has other placeholders in en`)
  }
  for (const map of [zh, en])
    for (const [key, text] of map) if (text.trim() === '') faults.push(`${namespace}:${key} is empty`)
  return faults
}

function* sources(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) yield* sources(path)
    else if (/\.tsx?$/.test(name) && !/\.test\.tsx?$/.test(name)) yield path
  }
}

function main() {
  const faults = []
  const known = new Set()
  for (const folder of readdirSync(root)) {
    const at = join(root, folder, 'locales')
    if (!existsSync(at)) continue
    const read = (language) => flatten(JSON.parse(readFileSync(join(at, `${language}.json`), 'utf8')))
    const zh = read('zh-CN')
    faults.push(...differences(folder, zh, read('en')))
    for (const key of zh.keys()) known.add(`${folder}:${plural(key)}`)
  }
  const used = new Set()
  for (const path of sources(root)) {
    const text = readFileSync(path, 'utf8')
    for (const [, key] of text.matchAll(/\bt\(\s*'([^'$]+)'/g)) {
      const full = key.includes(':') ? key : `shared:${key}`
      used.add(full)
      if (!known.has(full)) faults.push(`${relative(root, path)} uses ${full}, which no language has`)
    }
  }
  for (const fault of faults) console.error(fault)
  if (faults.length) process.exit(1)
  console.log(`texts: ${known.size} keys in 2 languages, ${used.size} used by name`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main()
