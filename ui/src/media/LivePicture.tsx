import { Button } from 'antd'
import { useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Id } from '../api/types'
import { age } from '../shared/format'
import { useNow } from '../shared/useNow'
import { useLive } from './player/useLive'
import { useSound, useVoice } from './player/useSound'
import { Masked } from './masks/Masked'
import { Conversion } from './tile/Conversion'
import { bitRate, delay, resolution } from './tile/figures'
import { LiveFace } from './tile/LiveFace'
import { SoundMark, SoundTool } from './tile/SoundTool'
import { TraceDrawer } from './tile/TraceDrawer'
import { Watermark } from './tile/Watermark'
import './live.css'

interface LivePictureProps {
  point: Id
  name: string
}

/** The live picture of a point, small: the sub-stream, with what a glance must know; greyed and dated when it stops. */
export function LivePicture({ point, name }: LivePictureProps) {
  const { t } = useTranslation()
  const video = useRef<HTMLVideoElement>(null)
  const [converted, setConverted] = useState(false)
  const [trace, setTrace] = useState<string | null>(null)
  const { state, parameters, metrics, again } = useLive(video, { point, stream: 'sub', asH264: converted })
  const sound = useSound(point)
  useVoice(video, sound.audible, sound.volume)
  return (
    <div className="live">
      <video
        ref={video}
        className={state.is === 'stalled' ? 'stale-video' : undefined}
        aria-label={t('media:live.alt', { name })}
        muted
        playsInline
      />
      <LiveFace state={state} onAgain={again} onTrace={setTrace} onConvert={() => setConverted(true)} />
      {parameters && (state.is === 'playing' || state.is === 'stalled') ? (
        <>
          <Watermark />
          <div className="live-figures">
            <span>
              {[resolution(parameters), parameters.codec, bitRate(metrics.bitsPerSecond)].join(' · ')}
            </span>
            {parameters.masked ? (
              <Masked point={{ id: point, name }} stretch={null} again={again} />
            ) : parameters.convertedFrom ? (
              <Conversion live from={parameters.convertedFrom} to={parameters.codec} />
            ) : null}
            <SoundMark sound={sound} has={parameters.sound} />
            <span className="live-lag">{t('media:tile.delay', { n: delay(metrics.lag) })}</span>
          </div>
          <div className="tile-tools" role="toolbar" aria-label={t('media:tile.tools')}>
            <SoundTool sound={sound} has={parameters.sound} />
          </div>
        </>
      ) : null}
      {state.is === 'stalled' ? <StaleBadge since={state.since} onAgain={again} /> : null}
      <TraceDrawer play={trace} name={name} onClose={() => setTrace(null)} />
    </div>
  )
}

/** Over a picture that no longer moves: how old it is. */
export function StaleBadge({ since, onAgain }: { since: number; onAgain: () => void }) {
  const { t } = useTranslation()
  const now = useNow(1_000)
  return (
    <div className="stale-badge" role="alert">
      <span>{t('media:live.stale', { age: age(Math.round((now - since) / 1000), t) })}</span>
      <Button size="small" onClick={onAgain}>
        {t('media:live.again')}
      </Button>
    </div>
  )
}
