import chinese from '@fontsource/noto-sans-sc/files/noto-sans-sc-chinese-simplified-500-normal.woff2?url'
import latin from '@fontsource/noto-sans-sc/files/noto-sans-sc-latin-500-normal.woff2?url'

/**
 * Map labels come from font files we ship; nothing is fetched from elsewhere. Both files are whole (not cut into
 * ranges), so that a name with a rare character never shows a box.
 */
export const MAP_FONT = 'Anwang Map'

export const fontFaces = {
  [MAP_FONT]: [
    { url: new URL(latin, location.href).href, 'unicode-range': ['U+0-24F', 'U+2000-206F'] },
    { url: new URL(chinese, location.href).href },
  ],
}
