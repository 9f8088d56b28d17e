import type { Routes } from './routes.mjs'

export function recordingRoutes(
  on: Routes['on'],
  points: readonly { id: string; name: string }[],
  uuid: () => string,
): (point: string, from: number, to: number) => unknown[]
