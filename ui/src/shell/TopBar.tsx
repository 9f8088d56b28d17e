import { DownOutlined, SearchOutlined } from '@ant-design/icons'
import { useQueryClient } from '@tanstack/react-query'
import { Dropdown, type MenuProps } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { useStreamStatus } from '../api/events'
import { paths } from '../app/paths'
import { FactorDialog } from '../governance/FactorDialog'
import { SessionsDialog } from '../governance/sessions/SessionsDialog'
import { TokensDialog } from '../governance/tokens/TokensDialog'
import { PurposeChip } from '../governance/reasons/PurposeChip'
import { PasswordDialog } from '../governance/PasswordDialog'
import { useSession, useSignOut } from '../governance/session'
import { currentLanguage, LANGUAGES, setLanguage, type Language } from '../i18n'
import { count, dayClock, ZONE_LABEL } from '../shared/format'
import { useNow } from '../shared/useNow'
import { setTheme, useTheme } from '../theme/preference'
import type { ThemeName } from '../theme/tokens'
import { useCounts } from './counts'

export function TopBar({ onSearch, onKeys }: { onSearch: () => void; onKeys: () => void }) {
  const { t } = useTranslation()
  const session = useSession().data
  return (
    <header className="topbar">
      <Link to={paths.map()} className="brand" aria-label={t('shell:home')}>
        <b>{t('shell:product')}</b> {session?.city}
      </Link>
      <button type="button" className="searchbox" onClick={onSearch} aria-keyshortcuts="Control+K">
        <SearchOutlined aria-hidden />
        <span>{t('shell:search.placeholder')}</span>
        <kbd>Ctrl K</kbd>
      </button>
      <div className="topbar-right">
        <PurposeChip />
        <Online />
        <Clock />
        <UserMenu onKeys={onKeys} />
      </div>
    </header>
  )
}

function Online() {
  const { t } = useTranslation()
  const counts = useCounts().data
  const stream = useStreamStatus()
  const lost = stream === 'lost'
  return (
    <Link
      to={paths.map({ state: 'offline', list: '1' })}
      className={lost ? 'pill pill-lost' : 'pill'}
      title={lost ? t('shell:stream.lost') : t('shell:online_title')}
    >
      <i className={lost ? 'dot dot-lost' : 'dot dot-ok'} aria-hidden />
      {lost ? t('shell:stream.lost_short') : t('shell:online')} <b>{counts ? count(counts.online) : '–'}</b>
      <span className="muted">/ {counts ? count(counts.total) : '–'}</span>
    </Link>
  )
}

function Clock() {
  const { t } = useTranslation()
  const now = useNow(1_000)
  return (
    <time className="topclock" title={t('shell:zone')}>
      {dayClock(now)} <small>{ZONE_LABEL}</small>
    </time>
  )
}

function UserMenu({ onKeys }: { onKeys: () => void }) {
  const { t } = useTranslation()
  const session = useSession().data
  const client = useQueryClient()
  const signOut = useSignOut()
  const [changing, setChanging] = useState(false)
  const [factor, setFactor] = useState(false)
  const [tokens, setTokens] = useState(false)
  const [sessions, setSessions] = useState(false)
  const theme = useTheme()
  const names: Record<Language, string> = { 'zh-CN': '简体中文', en: 'English' }
  const themes: ThemeName[] = ['dark', 'light']
  const items: MenuProps['items'] = [
    {
      key: 'who',
      type: 'group',
      label: session
        ? `${session.user.username} · ${t(`governance:role.${session.user.role}`, { defaultValue: session.user.role })}`
        : '',
      children: [],
    },
    { type: 'divider' },
    {
      key: 'language',
      type: 'group',
      label: t('shell:language'),
      children: LANGUAGES.map((language) => ({
        key: language,
        label: names[language],
        // The server words some answers by the reader's language.
        onClick: () => void setLanguage(language).then(() => client.invalidateQueries()),
      })),
    },
    {
      key: 'theme',
      type: 'group',
      label: t('shell:theme.title'),
      children: themes.map((name) => ({
        key: name,
        label: name === 'dark' ? t('shell:theme.dark') : t('shell:theme.light'),
        onClick: () => setTheme(name),
      })),
    },
    { type: 'divider' },
    { key: 'keys', label: t('shell:keys.keys'), extra: '?', onClick: onKeys },
    { key: 'password', label: t('governance:password.title'), onClick: () => setChanging(true) },
    { key: 'factor', label: t('governance:factor.title'), onClick: () => setFactor(true) },
    { key: 'sessions', label: t('governance:sessions.title'), onClick: () => setSessions(true) },
    { key: 'tokens', label: t('governance:token.title'), onClick: () => setTokens(true) },
    { key: 'out', label: t('shell:sign_out'), onClick: () => signOut.mutate() },
  ]
  return (
    <>
      <Dropdown
        menu={{ items, selectedKeys: [theme, currentLanguage()] }}
        trigger={['click']}
        placement="bottomRight"
      >
        <button type="button" className="pill" aria-label={t('shell:user_menu')}>
          {session?.user.display_name} · {session?.user.organisation.name} <DownOutlined aria-hidden />
        </button>
      </Dropdown>
      {factor ? <FactorDialog onClose={() => setFactor(false)} /> : null}
      {sessions ? <SessionsDialog of={null} onClose={() => setSessions(false)} /> : null}
      {tokens ? <TokensDialog of={null} onClose={() => setTokens(false)} /> : null}
      {changing ? <PasswordDialog onClose={() => setChanging(false)} /> : null}
    </>
  )
}
