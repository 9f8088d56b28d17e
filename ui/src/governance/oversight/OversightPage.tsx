import { useTranslation } from 'react-i18next'
import type { Abilities } from '../../api/types'
import { Face } from '../../shared/Face'
import { PageHead } from '../../shared/PageHead'
import { useAddress } from '../../shared/useAddress'
import { useCan } from '../session'
import { AnomaliesTab } from './AnomaliesTab'
import { BreachesTab } from './BreachesTab'
import { MonthTab } from './MonthTab'
import './oversight.css'

const TABS = ['month', 'anomalies', 'breaches'] as const
type Tab = (typeof TABS)[number]
const MAY: Record<Tab, (can: Abilities) => boolean> = {
  month: (can) => can.read_ledger,
  anomalies: (can) => can.read_ledger,
  breaches: (can) => can.read_breaches,
}

/** What people did with the platform: a month in numbers, what was unusual, and breaches of personal information. */
export function Component() {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const asked = TABS.find((one) => one === search.get('tab'))
  const tab = asked ?? TABS.find((one) => MAY[one](can)) ?? 'month'
  return (
    <div className="pane oversight">
      <PageHead
        title={t('governance:oversight.title')}
        tab={tab}
        onTab={(next) => put({ tab: next, state: null, open: null })}
        tabs={TABS.map((key) => ({ key, label: t(`governance:oversight.tab.${key}`) }))}
      />
      {MAY[tab](can) ? null : (
        <Face kind="forbidden" text={t('shared:not_allowed')} detail={t('shared:face.ask_admin')} />
      )}
      {tab === 'month' && MAY.month(can) ? <MonthTab /> : null}
      {tab === 'anomalies' && MAY.anomalies(can) ? <AnomaliesTab /> : null}
      {tab === 'breaches' && MAY.breaches(can) ? <BreachesTab /> : null}
    </div>
  )
}
