export class Refusal extends Error {
  readonly status: number
  readonly kind: string
  readonly reason: string
  readonly hint: string | null
}

interface Asked {
  params: Record<string, string>
  q: URLSearchParams
  json: unknown
  session: unknown
}
type Handler = (asked: Asked) => unknown

export class Routes {
  readonly on: (method: string, pattern: string, handler: Handler, open?: boolean) => void
  match(method: string, path: string): { handler: Handler; params: Record<string, string> }
}
