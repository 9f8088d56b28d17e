import { useInfiniteQuery } from '@tanstack/react-query'
import { Button } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { Id, Page, PlaySummary } from '../api/types'
import { said } from '../said/said'
import { Face, Failed, Loading } from '../shared/Face'
import { dayClock } from '../shared/format'
import { TraceDrawer } from './tile/TraceDrawer'
import './live.css'

const PAGE = 20

/** What was asked of a point's camera lately and what came of it; each opens its trace. */
export function PlayList({ point, name }: { point: Id; name: string }) {
  const { t } = useTranslation()
  const [trace, setTrace] = useState<Id | null>(null)
  const plays = useInfiniteQuery({
    queryKey: ['plays', point],
    initialPageParam: null as string | null,
    refetchInterval: 10_000,
    queryFn: ({ pageParam, signal }) =>
      fetched<Page<PlaySummary>>('GET', '/plays', {
        query: { point, limit: PAGE, cursor: pageParam },
        signal,
      }),
    getNextPageParam: (last) => last.next,
  })
  if (plays.error) return <Failed error={plays.error} retry={() => void plays.refetch()} />
  if (!plays.data) return <Loading />
  const all = plays.data.pages.flatMap((page) => page.items)
  if (all.length === 0) return <Face kind="empty" text={t('media:trace.none')} />
  return (
    <section className="plays" aria-label={t('media:trace.list')}>
      <ul>
        {all.map((play) => (
          <li key={play.id}>
            <button type="button" className="play" onClick={() => setTrace(play.id)}>
              <i className={`play-mark play-${play.outcome}`} aria-hidden />
              <time dateTime={play.started_at}>{dayClock(play.started_at)}</time>
              <b>{t(`media:trace.outcome.${play.outcome}`)}</b>
              <span>{t(`media:trace.kind.${play.kind}`, { defaultValue: play.kind })}</span>
              <small title={said(play.verdict)}>{said(play.verdict)}</small>
            </button>
          </li>
        ))}
      </ul>
      {plays.hasNextPage ? (
        <Button size="small" loading={plays.isFetchingNextPage} onClick={() => void plays.fetchNextPage()}>
          {t('media:trace.more')}
        </Button>
      ) : null}
      <TraceDrawer play={trace} name={name} onClose={() => setTrace(null)} />
    </section>
  )
}
