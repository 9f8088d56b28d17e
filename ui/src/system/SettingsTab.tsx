import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { Setting, SettingsTree } from '../api/types'
import { Face, Failed, Loading } from '../shared/Face'
import { SearchInput } from '../shared/SearchInput'
import { said } from '../said/said'

/** How the platform is set, where each value comes from, and what it would be if nobody had said anything. */
export function SettingsTab() {
  const { t } = useTranslation()
  const [q, setQ] = useState('')
  const settings = useQuery({
    queryKey: ['settings'],
    queryFn: ({ signal }) => fetched<SettingsTree>('GET', '/settings', { signal }),
  })
  if (settings.error) return <Failed error={settings.error} retry={() => void settings.refetch()} />
  if (!settings.data) return <Loading />
  const text = q.trim().toLowerCase()
  const groups = settings.data.groups
    .map((group) => ({
      ...group,
      settings: group.settings.filter((one) =>
        `${one.key} ${said(one.sentence)}`.toLowerCase().includes(text),
      ),
    }))
    .filter((group) => group.settings.length > 0)
  return (
    <>
      <div className="page-bar">
        <SearchInput
          style={{ width: 320 }}
          value={q}
          onChange={(event) => setQ(event.target.value)}
          placeholder={t('system:settings.search')}
        />
        <p className="muted">{t('system:settings.lead')}</p>
      </div>
      <div className="page-scroll">
        {groups.length === 0 ? <Face kind="empty" text={t('system:settings.none')} /> : null}
        {groups.map((group) => (
          <section key={group.name} className="settings">
            <h2>
              {group.name} <span className="muted">{said(group.sentence)}</span>
            </h2>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t('system:settings.key')}</th>
                  <th scope="col">{t('system:settings.value')}</th>
                  <th scope="col">{t('system:settings.source')}</th>
                  <th scope="col">{t('system:settings.default')}</th>
                  <th scope="col">{t('system:settings.meaning')}</th>
                </tr>
              </thead>
              <tbody>
                {group.settings.map((one) => (
                  <Row key={one.key} setting={one} />
                ))}
              </tbody>
            </table>
          </section>
        ))}
      </div>
    </>
  )
}

function Row({ setting }: { setting: Setting }) {
  const { t } = useTranslation()
  const show = (value: Setting['value']) =>
    value === null || value === '' ? <span className="muted">—</span> : <code>{String(value)}</code>
  const changed = setting.source !== 'default'
  return (
    <tr>
      <th scope="row">
        <code>{setting.key}</code>
      </th>
      <td>
        {setting.secret ? (
          <span className="muted">
            {t(setting.value ? 'system:settings.secret_set' : 'system:settings.secret_unset')}
          </span>
        ) : (
          show(setting.value)
        )}
      </td>
      <td className={changed ? 'settings-changed' : 'muted'}>
        {t(`system:settings.sources.${setting.source}`, { defaultValue: setting.source })}
      </td>
      <td>{show(setting.default)}</td>
      <td>{said(setting.sentence)}</td>
    </tr>
  )
}
