import { useEffect, useState } from 'react'

/** The time in milliseconds, renewed every `every` ms; all clocks of a page tick together on the full step. */
export function useNow(every: number): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>
    const tick = () => {
      setNow(Date.now())
      timer = setTimeout(tick, every - (Date.now() % every))
    }
    timer = setTimeout(tick, every - (Date.now() % every))
    return () => clearTimeout(timer)
  }, [every])
  return now
}
