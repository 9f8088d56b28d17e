import { Segmented } from 'antd'
import { useTranslation } from 'react-i18next'
import { useAddress } from '../../shared/useAddress'
import { DeletionsList } from './DeletionsList'
import { ReportsList } from './ReportsList'
import './retention.css'

const VIEWS = ['reports', 'deletions'] as const

/** Whether what is kept is kept as long as it must and no longer, and what was deleted. */
export function RetentionTab() {
  const { t } = useTranslation()
  const [search, , put] = useAddress()
  const view = VIEWS.find((one) => one === search.get('view')) ?? 'reports'
  const choice = (
    <Segmented<(typeof VIEWS)[number]>
      value={view}
      aria-label={t('media:retention.view')}
      onChange={(next) => put({ view: next, day: null, open: null, by: null })}
      options={VIEWS.map((value) => ({ value, label: t(`media:retention.views.${value}`) }))}
    />
  )
  return view === 'reports' ? <ReportsList>{choice}</ReportsList> : <DeletionsList>{choice}</DeletionsList>
}
