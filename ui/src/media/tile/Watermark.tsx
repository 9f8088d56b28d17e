import { useMemo } from 'react'
import { usePurpose } from '../../governance/reasons/purposes'
import { useSession } from '../../governance/session'
import { dayClock } from '../../shared/format'
import { useNow } from '../../shared/useNow'

const escaped = (text: string) =>
  text.replace(/[&<>"]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one] ?? one)

/** Who looks, of which unit, when, and for which case: over every picture, faint, and on every photograph of the screen. */
export function Watermark() {
  const session = useSession().data
  const minute = useNow(60_000)
  const caseNo = usePurpose()?.case_no ?? ''
  const image = useMemo(() => {
    if (!session) return 'none'
    const { display_name, organisation } = session.user
    const text = escaped(`${display_name} ${organisation.name} ${dayClock(minute).slice(0, 11)}`)
    const why = caseNo === '' ? '' : `<tspan x="170" dy="18">${escaped(caseNo)}</tspan>`
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="340" height="190"><text x="170" y="105" transform="rotate(-20 170 95)" text-anchor="middle" font-family="sans-serif" font-size="15" fill="white" fill-opacity=".17" stroke="black" stroke-opacity=".12" stroke-width=".6">${text}${why}</text></svg>`
    return `url("data:image/svg+xml,${encodeURIComponent(svg)}")`
  }, [session, minute, caseNo])
  return <div className="watermark" style={{ backgroundImage: image }} aria-hidden />
}
