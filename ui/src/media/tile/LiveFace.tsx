import { Button } from 'antd'
import { useTranslation } from 'react-i18next'
import { useNow } from '../../shared/useNow'
import type { LiveState } from '../player/LivePlayer'
import { VideoFace } from './VideoFace'
import { said } from '../../said/said'

interface LiveFaceProps {
  state: LiveState
  onAgain: () => void
  onTrace?: ((play: string) => void) | undefined
  onConvert: () => void
}

/** Instead of a live picture: what is going on, in one sentence, and the one thing to do. */
export function LiveFace({ state, onAgain, onTrace, onConvert }: LiveFaceProps) {
  const { t } = useTranslation()
  switch (state.is) {
    case 'playing':
    case 'stalled':
      return null
    case 'idle':
    case 'connecting':
      return <VideoFace kind="loading" text={t('media:live.connecting')} />
    case 'waiting':
      return <VideoFace kind="loading" text={t('media:live.waiting')} />
    case 'lost':
      return <Lost state={state} onAgain={onAgain} onTrace={onTrace} />
    case 'refused': {
      const forbidden = state.kind === 'denied' || state.kind === 'forbidden'
      const { play } = state
      return (
        <VideoFace
          kind={forbidden ? 'forbidden' : 'failed'}
          text={said(state.reason) || t('media:live.refused')}
          detail={said(state.hint) || (forbidden ? t('shared:face.ask_admin') : null)}
        >
          {play && onTrace ? (
            <Button size="small" onClick={() => onTrace(play)}>
              {t('media:trace.show')}
            </Button>
          ) : (
            <Button size="small" onClick={onAgain}>
              {t('shared:face.retry')}
            </Button>
          )}
        </VideoFace>
      )
    }
    case 'unsupported':
      return (
        <VideoFace
          kind="failed"
          text={t('media:live.unsupported', { codec: state.codec })}
          detail={t('media:live.convert_cost')}
        >
          <Button size="small" type="primary" onClick={onConvert}>
            {t('media:live.convert')}
          </Button>
        </VideoFace>
      )
  }
}

function Lost({
  state,
  onAgain,
  onTrace,
}: {
  state: Extract<LiveState, { is: 'lost' }>
  onAgain: () => void
  onTrace: LiveFaceProps['onTrace']
}) {
  const { t } = useTranslation()
  const now = useNow(500)
  const { play } = state
  return (
    <VideoFace
      kind="failed"
      text={said(state.reason) || t('media:live.lost')}
      detail={t('media:live.retry_in', { n: Math.max(0, Math.ceil((state.retryAt - now) / 1000)) })}
    >
      {play && onTrace ? (
        <Button size="small" onClick={() => onTrace(play)}>
          {t('media:trace.show')}
        </Button>
      ) : null}
      <Button size="small" onClick={onAgain}>
        {t('media:live.retry_now')}
      </Button>
    </VideoFace>
  )
}
