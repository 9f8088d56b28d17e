import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Navigate, Outlet, useLocation, useNavigate } from 'react-router'
import { useQueryClient } from '@tanstack/react-query'
import { onSignedOut } from '../api/client'
import { startEvents, stopEvents } from '../api/events'
import { paths } from '../app/paths'
import { clearNotes } from '../notes/notes'
import { MustEnrol } from '../governance/FactorDialog'
import { placeAt, placesFor } from '../app/places'
import { ReasonsProvider } from '../governance/reasons/Reasons'
import { forgetSession, useCan, useSession } from '../governance/session'
import { forgetStates, useLiveStates } from '../registry/liveState'
import { Failed, Loading } from '../shared/Face'
import { useKeys } from '../shared/keys'
import { useFreshness } from './counts'
import { KeysOverlay } from './KeysOverlay'
import { Rail } from './Rail'
import { SearchDialog } from './SearchDialog'
import { TopBar } from './TopBar'
import './shell.css'

/** Top bar, rail and the page. Nobody gets here without a session. */
export function Shell() {
  const session = useSession()
  const location = useLocation()
  const client = useQueryClient()
  useEffect(() => onSignedOut(() => forgetSession(client)), [client])
  if (session.isPending) return <Loading />
  if (session.data === null) return <Navigate to={paths.login(location.pathname + location.search)} replace />
  if (!session.data) return <Failed error={session.error} retry={() => void session.refetch()} />
  if (session.data.must_enrol) return <MustEnrol />
  return (
    <ReasonsProvider>
      <Room />
    </ReasonsProvider>
  )
}

function Room() {
  const { t } = useTranslation()
  const navigate = useNavigate()
  const [searching, setSearching] = useState(false)
  const [keysShown, setKeysShown] = useState(false)
  useEffect(() => {
    startEvents()
    return () => {
      stopEvents()
      clearNotes()
      forgetStates()
    }
  }, [])
  useLiveStates()
  useFreshness()
  const city = useSession().data?.city ?? ''
  const places = placesFor(useCan())
  const place = placeAt(places, useLocation())
  const title = [place ? t(`shell:place_hint.${place.key}`) : '', `${t('shell:product')} ${city}`]
    .filter(Boolean)
    .join(' · ')
  useEffect(() => {
    document.title = title
  }, [title])
  useKeys(t('shell:keys.everywhere'), [
    { keys: 'Ctrl+K', label: t('shell:keys.search'), run: () => setSearching(true), always: true },
    { keys: '/', label: t('shell:keys.search'), run: () => setSearching(true) },
    { keys: '?', label: t('shell:keys.keys'), run: () => setKeysShown((shown) => !shown), inDialogs: true },
    ...places.flatMap(({ key, path, number }) =>
      path === null || number === null
        ? []
        : [
            {
              keys: `g ${number}`,
              label: t(`shell:place_hint.${key}`),
              run: () => void navigate(path),
            },
          ],
    ),
  ])
  return (
    <div className="shell">
      <a className="skip" href="#page">
        {t('shell:skip')}
      </a>
      <TopBar onSearch={() => setSearching(true)} onKeys={() => setKeysShown(true)} />
      <Rail />
      <main id="page" className="page" tabIndex={-1}>
        <Outlet />
      </main>
      <SearchDialog open={searching} onClose={() => setSearching(false)} />
      <KeysOverlay open={keysShown} onClose={() => setKeysShown(false)} />
    </div>
  )
}
