import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// Where `npm run dev` finds the API: the mock (`npm run mock`) unless ANWANG_API names a running server.
const api = process.env.ANWANG_API ?? 'http://127.0.0.1:8090'

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: '../anwang/web/static',
    emptyOutDir: true,
    target: 'es2022',
    // Fonts stay files: a page must not load 5 MB of Chinese glyphs as base64 to show twenty characters.
    assetsInlineLimit: 2048,
    chunkSizeWarningLimit: 1400,
  },
  worker: { format: 'es' },
  server: { proxy: { '/api': { target: api, ws: true } } },
  preview: { proxy: { '/api': { target: api, ws: true } } },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.{ts,tsx}', 'scripts/*.test.mjs'],
    setupFiles: ['test/setup.ts'],
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 30_000,
  },
})
