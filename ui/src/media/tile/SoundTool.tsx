import { useTranslation } from 'react-i18next'
import type { Sound } from '../player/useSound'
import { Tool } from './Tool'

interface SoundToolProps {
  sound: Sound
  /** Whether the picture comes with sound; null: not known yet. */
  has: boolean | null
}

/** A loudspeaker, crossed out where nothing sounds. */
function Speaker({ silent }: { silent: boolean }) {
  return (
    <svg
      className="speaker"
      width="14"
      height="14"
      viewBox="0 0 14 14"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.3"
      aria-hidden
    >
      <path d="M1.5 5h2.2L7 2.2v9.6L3.7 9H1.5z" />
      <path d={silent ? 'M9 5l4 4M13 5L9 9' : 'M9 5a3 3 0 0 1 0 4M10.8 3.2a5.5 5.5 0 0 1 0 7.6'} />
    </svg>
  )
}

/** Hear this picture, and how loud. */
export function SoundTool({ sound, has }: SoundToolProps) {
  const { t } = useTranslation()
  const { audible, volume, toggle, setVolume } = sound
  return (
    <>
      {audible ? (
        <input
          className="tile-volume"
          type="range"
          min={0}
          max={1}
          step={0.05}
          value={volume}
          aria-label={t('media:sound.volume')}
          aria-valuetext={`${Math.round(volume * 100)} %`}
          title={`${t('media:sound.volume')} ${Math.round(volume * 100)} %`}
          onChange={(event) => setVolume(event.target.valueAsNumber)}
          onPointerDown={(event) => event.stopPropagation()}
          onDoubleClick={(event) => event.stopPropagation()}
          draggable
          onDragStart={(event) => {
            // The tile around it can be dragged; this is not meant then.
            event.preventDefault()
            event.stopPropagation()
          }}
        />
      ) : null}
      <Tool
        icon={<Speaker silent={!audible} />}
        text={`${t(audible ? 'media:sound.mute' : 'media:sound.hear')} (M)`}
        run={toggle}
        on={audible}
        reason={has === false && !audible ? t('media:sound.none') : null}
      />
    </>
  )
}

/** Beside the name, seen without pointing at the tile: it sounds, or it could. */
export function SoundMark({ sound, has }: SoundToolProps) {
  const { t } = useTranslation()
  const { audible, volume } = sound
  if (audible) {
    const text = has === false ? t('media:sound.none') : `${Math.round(volume * 100)} %`
    return (
      <span className="tile-badge" role="status" aria-label={`${t('media:sound.heard')} ${text}`}>
        <Speaker silent={has === false || volume === 0} /> {text}
      </span>
    )
  }
  if (!has) return null
  return (
    <span
      className="tile-muted"
      role="img"
      aria-label={t('media:sound.muted')}
      title={t('media:sound.muted')}
    >
      <Speaker silent />
    </span>
  )
}
