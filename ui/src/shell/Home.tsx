import { Navigate } from 'react-router'
import { homeFor } from '../app/places'
import { useCan } from '../governance/session'

/** Where the role begins. */
export function Home() {
  return <Navigate to={homeFor(useCan())} replace />
}
