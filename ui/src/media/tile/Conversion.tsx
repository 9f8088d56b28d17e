import { Popover } from 'antd'
import { useTranslation } from 'react-i18next'

/** Says that the picture is not what the camera sends, and what that costs. */
export function Conversion({ from, to, live }: { from: string; to: string; live: boolean }) {
  const { t } = useTranslation()
  return (
    <Popover
      trigger={['hover', 'focus']}
      styles={{ container: { maxWidth: 340 } }}
      title={t('media:conversion.title', { from, to })}
      content={
        <ul className="conversion">
          <li>{t('media:conversion.why', { from, to })}</li>
          <li>{t('media:conversion.core')}</li>
          <li>{t(live ? 'media:conversion.shared' : 'media:conversion.pieces')}</li>
          <li>{t('media:conversion.quality')}</li>
        </ul>
      }
    >
      <button
        type="button"
        className="tile-badge tile-converted"
        aria-label={t('media:conversion.title', { from, to })}
        onDoubleClick={(event) => event.stopPropagation()}
      >
        {`${from} → ${to}`}
      </button>
    </Popover>
  )
}
