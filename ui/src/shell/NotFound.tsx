import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { paths } from '../app/paths'
import { Face } from '../shared/Face'

export function NotFound() {
  const { t } = useTranslation()
  return (
    <Face
      kind="empty"
      text={t('shell:not_found')}
      action={<Link to={paths.map()}>{t('shell:to_map')}</Link>}
    />
  )
}
