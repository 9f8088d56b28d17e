import { Dropdown } from 'antd'
import { useTranslation } from 'react-i18next'
import { urlOf, type Query } from '../api/client'
import { useCan } from '../governance/session'
import { Act } from '../shared/Act'

const FORMS = ['xlsx', 'csv'] as const

/** The camera files that a query leaves, taken away as a table that the import takes back. */
export function ExportMenu({
  query,
  reason,
  small,
}: {
  query?: Query
  /** Why it cannot be done now. */
  reason?: string | null
  small?: boolean
}) {
  const { t } = useTranslation()
  const can = useCan()
  const why = can.read_points ? (reason ?? null) : t('shared:not_allowed')
  const label = t('registry:export.title')
  const size = small ? ({ size: 'small' } as const) : {}
  if (why) {
    return (
      <Act reason={why} {...size}>
        {label}
      </Act>
    )
  }
  return (
    <Dropdown
      trigger={['click']}
      menu={{
        items: FORMS.map((form) => ({
          key: form,
          label: <a href={urlOf(`/points.${form}`, query)}>{t(`registry:export.${form}`)}</a>,
        })),
      }}
    >
      <span>
        <Act {...size}>{label}</Act>
      </span>
    </Dropdown>
  )
}
