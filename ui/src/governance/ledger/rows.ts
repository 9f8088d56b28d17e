import type { LedgerRow } from '../../api/types'

export const FILTERS = ['actor', 'object', 'action', 'kind', 'case', 'from', 'to'] as const
export type Filters = Record<(typeof FILTERS)[number], string | null>

export const LEDGER_KINDS = [
  'opened',
  'closed',
  'used',
  'exported',
  'pulled',
  'denied',
  'purpose',
  'approval',
  'signed_in',
  'refused',
  'changed',
  'deleting',
  'deleted',
  'alert',
  'unavailable',
  'broken',
  'recovered',
] as const

/** Objects of these actions are points; those of others are accounts, purposes, requests. */
const OF_POINTS = new Set([
  'read_points',
  'read_timeline',
  'view_live',
  'view_playback',
  'snapshot',
  'export',
  'ptz',
  'hold',
  'edit_points',
])
export const ofPoints = ({ action, kind }: LedgerRow): boolean => OF_POINTS.has(action) && kind !== 'approval'

export const keyOf = ({ chain, seq }: LedgerRow): string => `${chain} ${seq}`
