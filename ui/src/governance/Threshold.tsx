import { Button } from 'antd'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { currentLanguage, setLanguage } from '../i18n'
import { setTheme, useTheme } from '../theme/preference'
import './threshold.css'

/** The room before the room: sign-in and first set-up stand in it. */
export function Threshold({ title, lead, children }: { title: string; lead: string; children: ReactNode }) {
  const { t } = useTranslation()
  const theme = useTheme()
  const other = currentLanguage() === 'en' ? 'zh-CN' : 'en'
  return (
    <main className="threshold">
      <svg
        className="threshold-roads"
        viewBox="0 0 1600 900"
        preserveAspectRatio="xMidYMid slice"
        aria-hidden
      >
        <path
          className="river"
          d="M-20 610C240 560 420 690 700 640S1180 470 1620 560V690C1240 610 1060 720 760 760S260 690-20 740Z"
        />
        <path
          className="main"
          d="M310-20C300 240 330 560 290 920M790-20C780 300 800 600 770 920M1240-20C1260 260 1210 640 1230 920M-20 220C400 190 900 250 1620 205M-20 480C500 505 1000 470 1620 495"
        />
        <path d="M120-20C130 300 90 620 110 920M520-20C510 320 545 640 520 920M1010-20C1005 300 1040 620 1015 920M1440-20C1450 300 1420 640 1450 920M-20 90C500 100 1100 70 1620 95M-20 350C460 335 1080 370 1620 345M-20 820C500 800 1100 835 1620 815" />
      </svg>
      <section className="threshold-card" aria-labelledby="threshold-title">
        <header>
          <p className="threshold-brand">
            <span>{t('shell:product')}</span>
            {t('shell:product_line')}
          </p>
          <h1 id="threshold-title">{title}</h1>
          <p className="muted">{lead}</p>
        </header>
        {children}
      </section>
      <footer className="threshold-foot">
        <Button type="text" size="small" onClick={() => void setLanguage(other)}>
          {other === 'en' ? 'English' : '简体中文'}
        </Button>
        <Button type="text" size="small" onClick={() => setTheme(theme === 'dark' ? 'light' : 'dark')}>
          {theme === 'dark' ? t('shell:theme.light') : t('shell:theme.dark')}
        </Button>
      </footer>
    </main>
  )
}
