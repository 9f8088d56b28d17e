// How the mock keeps its routes and refuses, in the product's shapes. Browsers meet it through server.mjs, tests without.

export class Refusal extends Error {
  constructor(status, kind, reason, hint = null) {
    super(reason)
    Object.assign(this, { status, kind, reason, hint })
  }
}

export const missing = () => new Refusal(404, 'not_found', 'Nothing here by that name', null)

export const may = (session, what) => {
  if (!session.can[what])
    throw new Refusal(403, 'forbidden', '您没有此项权限', `Ask an administrator for “${what}”.`)
}

export const find = (items, id) => {
  const item = items.find((one) => one.id === id)
  if (!item) throw missing()
  return item
}

export function page(items, q, size = 100) {
  const limit = Math.min(Number(q.get('limit') ?? size), 500)
  const from = Number(q.get('cursor') ?? 0)
  const next = from + limit < items.length ? String(from + limit) : null
  return { items: items.slice(from, from + limit), next }
}

/** [method, pattern, handler({params, q, json, session, raw, …}) → value | {file}]; `open` needs no session. */
export class Routes {
  #all = []

  on = (method, pattern, handler, open = false) =>
    this.#all.push({
      method,
      expression: new RegExp(`^${pattern.replace(/\./g, '\\.').replace(/:(\w+)/g, '(?<$1>[^/]+?)')}$`),
      handler,
      open,
    })

  /** The first route that fits, with what stands in its path. */
  match(method, path) {
    for (const route of this.#all) {
      const found = route.method === method && route.expression.exec(path)
      if (!found) continue
      const params = Object.fromEntries(
        Object.entries(found.groups ?? {}).map(([k, v]) => [k, decodeURIComponent(v)]),
      )
      return { ...route, params }
    }
    throw missing()
  }
}
