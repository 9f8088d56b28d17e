import { QueryClientProvider } from '@tanstack/react-query'
import { App as AntApp, ConfigProvider } from 'antd'
import enUS from 'antd/locale/en_US'
import zhCN from 'antd/locale/zh_CN'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { RouterProvider } from 'react-router'
import { antdTheme } from '../theme/antd'
import { useTheme } from '../theme/preference'
import { queryClient } from './queryClient'
import { makeRouter } from './router'

export function App() {
  const theme = useTheme()
  const { i18n } = useTranslation()
  const [router] = useState(makeRouter)
  const config = useMemo(() => antdTheme(theme), [theme])
  return (
    <ConfigProvider
      theme={config}
      locale={i18n.language === 'en' ? enUS : zhCN}
      button={{ autoInsertSpace: false }}
    >
      <AntApp message={{ maxCount: 3 }} style={{ height: '100%' }}>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </AntApp>
    </ConfigProvider>
  )
}
