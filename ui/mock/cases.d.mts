import type { Session } from '../src/api/types'
import type { Routes } from './routes.mjs'

export const CUSTOMS: Session['customs']

/** The check before a clip: throws what is missing. */
export function caseRoutes(
  on: Routes['on'],
  points: readonly { id: string; name: string }[],
  uuid: () => string,
): (session: unknown, point: string, from: string, to: string) => void
