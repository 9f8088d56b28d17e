import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { DutiesTab } from '../governance/duties/DutiesTab'
import { UsersTab } from '../governance/UsersTab'
import { ExportsTab } from '../media/exports/ExportsTab'
import { HoldsTab } from '../media/holds/HoldsTab'
import { RetentionTab } from '../media/retention/RetentionTab'
import { PlansTab } from '../media/PlansTab'
import { OrganisationsTab } from '../registry/organisations/OrganisationsTab'
import { PageHead } from '../shared/PageHead'
import { HealthTab } from './HealthTab'
import { SettingsTab } from './SettingsTab'
import './system.css'

const TABS = [
  'health',
  'plans',
  'holds',
  'exports',
  'retention',
  'duties',
  'users',
  'units',
  'settings',
] as const

/** How the platform is, who may use it, and how it is set. */
export function Component() {
  const { t } = useTranslation()
  const [search, setSearch] = useSearchParams()
  const tab = TABS.find((name) => name === search.get('tab')) ?? 'health'
  return (
    <div className="pane">
      <PageHead
        title={t('system:title')}
        tab={tab}
        onTab={(next) => setSearch({ tab: next }, { replace: true })}
        tabs={TABS.map((key) => ({ key, label: t(`system:tab.${key}`) }))}
      />
      {tab === 'health' ? <HealthTab /> : null}
      {tab === 'plans' ? <PlansTab /> : null}
      {tab === 'holds' ? <HoldsTab /> : null}
      {tab === 'retention' ? <RetentionTab /> : null}
      {tab === 'exports' ? <ExportsTab /> : null}
      {tab === 'duties' ? <DutiesTab /> : null}
      {tab === 'users' ? <UsersTab /> : null}
      {tab === 'units' ? <OrganisationsTab /> : null}
      {tab === 'settings' ? <SettingsTab /> : null}
    </div>
  )
}
