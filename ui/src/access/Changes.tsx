import { useTranslation } from 'react-i18next'
import type { Drift } from '../api/types'
import { valueName } from './drifts'

/** What a device should say, and what it says. */
export function Changes({ changes }: { changes: Drift['changes'] }) {
  const { t } = useTranslation()
  const nothing = <span className="muted">{t('access:drift.nothing')}</span>
  return (
    <table className="values">
      <thead>
        <tr>
          <th scope="col">{t('access:drift.name')}</th>
          <th scope="col">{t('access:drift.before')}</th>
          <th scope="col">{t('access:drift.after')}</th>
        </tr>
      </thead>
      <tbody>
        {changes.map(({ name, before, after }) => (
          <tr key={name}>
            <td title={name}>{valueName(name, t)}</td>
            <td>{before ?? nothing}</td>
            <td>
              <b>{after ?? nothing}</b>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
