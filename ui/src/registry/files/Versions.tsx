import { Button } from 'antd'
import { useTranslation } from 'react-i18next'
import type { FileVersion, Id } from '../../api/types'
import { said } from '../../said/said'
import { Face, Failed, Loading } from '../../shared/Face'
import { stamp } from '../../shared/format'
import { changedText, useFieldName, useFieldsByKey } from './fields'
import { useVersions } from './queries'

/** What the file was: who changed what, when and why, newest first. */
export function Versions({ point }: { point: Id }) {
  const { t } = useTranslation()
  const versions = useVersions(point)
  if (versions.error) return <Failed error={versions.error} retry={() => void versions.refetch()} />
  if (versions.isPending) return <Loading />
  if (versions.rows.length === 0)
    return <Face kind="empty" text={t('registry:versions.none')} detail={t('registry:versions.lead')} />
  return (
    <div className="versions">
      <ol>
        {versions.rows.map((one) => (
          <Version key={one.version} one={one} />
        ))}
      </ol>
      {versions.hasNextPage ? (
        <Button size="small" loading={versions.isFetchingNextPage} onClick={versions.onEnd}>
          {t('registry:versions.more')}
        </Button>
      ) : null}
    </div>
  )
}

function Version({ one }: { one: FileVersion }) {
  const { t } = useTranslation()
  const known = useFieldsByKey()
  const name = useFieldName()
  return (
    <li>
      <header>
        <b>{t('registry:versions.number', { n: one.version })}</b>
        <time dateTime={one.at}>{stamp(one.at)}</time>
        <span>{t(`registry:versions.by.${one.by}`, { defaultValue: one.by })}</span>
        <span className="muted">{said(one.reason)}</span>
      </header>
      <table>
        <thead className="visually-hidden">
          <tr>
            <th scope="col">{t('registry:versions.field')}</th>
            <th scope="col">{t('registry:versions.before')}</th>
            <th scope="col">{t('registry:versions.after')}</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(one.changes).map(([key, [before, after]]) => (
            <tr key={key}>
              <th scope="row">{name(key)}</th>
              <td>
                <del>{changedText(known.get(key), before, t) || t('registry:versions.nothing')}</del>
              </td>
              <td>
                <ins>{changedText(known.get(key), after, t) || t('registry:versions.nothing')}</ins>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </li>
  )
}
