import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'

/**
 * Texts live beside what they describe: `src/<folder>/locales/{zh-CN,en}.json`; the folder's name is the namespace
 * (`media:live.none`). `npm run check` holds both languages at parity and every used key present.
 */
const files = import.meta.glob<Record<string, unknown>>('../*/locales/*.json', {
  eager: true,
  import: 'default',
})

export type Language = 'zh-CN' | 'en'
export const LANGUAGES: readonly Language[] = ['zh-CN', 'en']
const KEY = 'anwang.language'

type Bundle = Record<string, Record<string, unknown>>
export const resources: Record<Language, Bundle> = { 'zh-CN': {}, en: {} }
for (const [path, texts] of Object.entries(files)) {
  const match = /^\.\.\/([^/]+)\/locales\/(zh-CN|en)\.json$/.exec(path)
  if (match?.[1] && match[2]) resources[match[2] as Language][match[1]] = texts
}

function stored(): Language {
  try {
    return localStorage.getItem(KEY) === 'en' ? 'en' : 'zh-CN'
  } catch {
    return 'zh-CN'
  }
}

export async function startLanguage(language: Language = stored()): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: 'zh-CN',
    resources: resources,
    ns: Object.keys(resources.en),
    defaultNS: 'shared',
    interpolation: { escapeValue: false },
    returnNull: false,
  })
  document.documentElement.lang = language
}

export async function setLanguage(language: Language): Promise<void> {
  try {
    localStorage.setItem(KEY, language)
  } catch {
    // Kept for this window only.
  }
  document.documentElement.lang = language
  await i18next.changeLanguage(language)
}

export function currentLanguage(): Language {
  return i18next.language === 'en' ? 'en' : 'zh-CN'
}
