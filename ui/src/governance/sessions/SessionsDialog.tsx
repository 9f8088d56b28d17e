import { Modal } from 'antd'
import { useTranslation } from 'react-i18next'
import { ApiError, fetched } from '../../api/client'
import type { Named, OpenSession } from '../../api/types'
import { Act } from '../../shared/Act'
import { Face, Failed, Loading } from '../../shared/Face'
import { stamp } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'
import { useSure } from '../../shared/useSure'
import '../tokens/tokens.css'

const BROWSERS = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari'],
] as const
const SYSTEMS = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/Linux/, 'Linux'],
] as const

/** `Firefox · Linux`; a program names itself. */
export function agentText(agent: string): string {
  const of = (names: readonly (readonly [RegExp, string])[]) => names.find(([is]) => is.test(agent))?.[1]
  return [of(BROWSERS), of(SYSTEMS)].filter((one) => one !== undefined).join(' · ') || agent || '—'
}

/** Where somebody is signed in, and with which tokens: one's own, or an account's that one manages. Any can be ended. */
export function SessionsDialog({ of, onClose }: { of: Named | null; onClose: () => void }) {
  const { t } = useTranslation()
  const sure = useSure()
  const key = `sessions-${of?.id ?? ''}`
  const sessions = usePages<OpenSession>(key, '/sessions', of ? { user: of.id } : {})
  const end = useDo({
    run: async (gone: readonly OpenSession[]) => {
      for (const { id } of gone)
        await fetched<undefined>('DELETE', `/sessions/${id}`).catch((error: unknown) => {
          // it may have ended by itself meanwhile
          if (!(error instanceof ApiError && error.status === 404)) throw error
        })
    },
    done: t('governance:sessions.ended'),
    renew: [[key], ['tokens']],
  })
  const { rows } = sessions
  const others = rows.filter(({ current }) => !current)
  const ask = (gone: readonly OpenSession[]) =>
    sure({
      title: t('governance:sessions.end_title', { count: gone.length }),
      text: t('governance:sessions.end_text'),
      ok: t('governance:sessions.end'),
      run: () => end.mutate(gone),
    })
  return (
    <Modal
      open
      width={720}
      title={of ? t('governance:sessions.of', { name: of.name }) : t('governance:sessions.title')}
      onCancel={onClose}
      footer={
        <Act
          reason={
            others.length === 0
              ? t('governance:sessions.no_others')
              : sessions.hasNextPage
                ? t('governance:sessions.show_all')
                : null
          }
          run={() => ask(others)}
        >
          {t(of ? 'governance:sessions.end_all' : 'governance:sessions.end_others')}
        </Act>
      }
    >
      <p className="muted">{t('governance:sessions.lead')}</p>
      {sessions.error ? <Failed error={sessions.error} retry={() => void sessions.refetch()} /> : null}
      {sessions.isPending ? <Loading /> : null}
      {!sessions.isPending && rows.length === 0 ? (
        <Face kind="empty" text={t('governance:sessions.none')} />
      ) : null}
      <ul className="tokens" aria-label={t('governance:sessions.title')}>
        {rows.map((row) => (
          <li key={row.id}>
            <span>
              <b title={row.agent}>
                {row.kind === 'api_token'
                  ? t('governance:sessions.token', { name: row.name })
                  : agentText(row.agent)}
              </b>
              <br />
              <span className="muted">{row.terminal}</span>
            </span>
            <span className="muted">
              {t('governance:sessions.times', {
                made: stamp(row.created_at),
                seen: stamp(row.last_seen),
                ends: stamp(row.expires_at),
              })}
            </span>
            {row.current ? (
              <span className="muted">{t('governance:sessions.current')}</span>
            ) : (
              <Act size="small" run={() => ask([row])}>
                {t('governance:sessions.end')}
              </Act>
            )}
          </li>
        ))}
      </ul>
      {sessions.hasNextPage ? (
        <Act size="small" run={sessions.onEnd}>
          {t('governance:sessions.more')}
        </Act>
      ) : null}
    </Modal>
  )
}
