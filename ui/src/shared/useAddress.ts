import { useCallback, useEffect, useRef } from 'react'
import { useSearchParams } from 'react-router'

/**
 * The query of the address, and a way to edit it. Edits build on each other even while the router has not caught up
 * with the last one: on a busy machine a click and a keystroke may well come before the next draw.
 */
export function useAddress(): [
  search: URLSearchParams,
  edit: (change: (search: URLSearchParams) => URLSearchParams) => void,
  put: (values: Record<string, string | null>) => void,
] {
  const [search, setSearch] = useSearchParams()
  const latest = useRef(search)
  useEffect(() => {
    latest.current = search
  }, [search])
  const edit = useCallback(
    (change: (search: URLSearchParams) => URLSearchParams) => {
      latest.current = change(new URLSearchParams(latest.current))
      setSearch(latest.current, { replace: true })
    },
    [setSearch],
  )
  const put = useCallback(
    (values: Record<string, string | null>) =>
      edit((next) => {
        for (const [name, value] of Object.entries(values)) {
          if (value === null || value === '') next.delete(name)
          else next.set(name, value)
        }
        return next
      }),
    [edit],
  )
  return [search, edit, put]
}
