import { EyeInvisibleOutlined } from '@ant-design/icons'
import { Popover } from 'antd'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Named } from '../../api/types'
import { useReasons } from '../../governance/reasons/useReasons'
import { useCan } from '../../governance/session'
import { Act } from '../../shared/Act'
import { useDo } from '../../shared/useDo'
import { aroundNow } from './masks'
import './masks.css'

interface MaskedProps {
  point: Named
  /** The recorded stretch that is looked at; null: it is live. */
  stretch: { start: number; end: number } | null
  /** Shows it again, without masks. */
  again: () => void
}

/** Says that privacy masks are drawn on the picture, what that costs, and how to see behind them. */
export function Masked({ point, stretch, again }: MaskedProps) {
  const { t } = useTranslation()
  const can = useCan()
  const reasons = useReasons()
  const ask = useDo({
    run: () => {
      const range = stretch
        ? { from: new Date(stretch.start).toISOString(), to: new Date(stretch.end).toISOString() }
        : {}
      return reasons.insist(
        async () => {
          await fetched<undefined>('GET', `/points/${point.id}/unmasked`, { query: range })
          return true
        },
        { action: 'unmask', points: [point], ...(stretch ?? aroundNow(Date.now())) },
      )
    },
    then: (lifted) => {
      if (lifted === true) again()
    },
  })
  return (
    <Popover
      trigger={['hover', 'focus']}
      styles={{ container: { maxWidth: 360 } }}
      title={t('media:masks.title')}
      content={
        <div className="masked-more">
          <ul className="conversion">
            <li>{t('media:masks.why')}</li>
            <li>{t(stretch ? 'media:masks.cost_pieces' : 'media:masks.cost_live')}</li>
            <li>{t('media:masks.sealed')}</li>
          </ul>
          <Act
            size="small"
            reason={can.unmask ? null : t('shared:not_allowed')}
            loading={ask.isPending}
            run={() => ask.mutate(undefined)}
          >
            {t('media:masks.ask')}
          </Act>
        </div>
      }
    >
      <button
        type="button"
        className="tile-badge tile-converted tile-masked"
        aria-label={t('media:masks.title')}
        onDoubleClick={(event) => event.stopPropagation()}
      >
        <EyeInvisibleOutlined aria-hidden /> {t('media:masks.badge')}
      </button>
    </Popover>
  )
}
