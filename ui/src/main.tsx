import '@fontsource-variable/inter/index.css'
import '@fontsource-variable/noto-sans-sc/index.css'
import '@fontsource/jetbrains-mono/400.css'
import './theme/base.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app/App'
import { startLanguage } from './i18n'
import { startTheme } from './theme/preference'

startTheme()
await startLanguage()
const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
