import { useRouteError } from 'react-router'
import { Failed } from '../shared/Face'

/** A page that threw: the rest of the room stays, the page offers to start over. */
export function Broken() {
  return <Failed error={useRouteError()} retry={() => location.reload()} />
}
