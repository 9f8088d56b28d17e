import { FileProtectOutlined, WarningOutlined } from '@ant-design/icons'
import { Button, Popover } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Purpose } from '../../api/types'
import { stamp } from '../../shared/format'
import { useKeys } from '../../shared/keys'
import { useNow } from '../../shared/useNow'
import { useCan } from '../session'
import { useEndPurpose, usePurpose } from './purposes'
import { useReasons } from './useReasons'

const KEY = 'Alt+p'
const SHORT_MS = 5 * 60_000

/** In the top bar: what one is looking for just now, or how to say it. */
export function PurposeChip() {
  const { t } = useTranslation()
  const can = useCan()
  const purpose = usePurpose()
  const { state } = useReasons()
  const open = () => void state(purpose ? { from: purpose } : {})
  useKeys(
    t('governance:purpose.title'),
    can.open_purpose ? [{ keys: KEY, label: t('governance:purpose.state'), run: open, always: true }] : [],
  )
  if (!can.open_purpose) return null
  if (purpose) return <Active purpose={purpose} onAnother={open} />
  return (
    <button
      type="button"
      className="pill pill-quiet"
      title={t('governance:purpose.none_hint')}
      aria-keyshortcuts="Alt+P"
      onClick={open}
    >
      <FileProtectOutlined aria-hidden /> <span>{t('governance:purpose.state')}</span>
    </button>
  )
}

function Active({ purpose, onAnother }: { purpose: Purpose; onAnother: () => void }) {
  const { t } = useTranslation()
  const [open, setOpen] = useState(false)
  const now = useNow(1_000)
  const left = Date.parse(purpose.expires_at) - now
  const ending = left < SHORT_MS
  const kind = t(`governance:purpose.kind.${purpose.kind}`)
  const minutes = t('governance:purpose.left', { n: Math.max(0, Math.ceil(left / 60_000)) })
  const end = useEndPurpose(t('governance:purpose.ended'))
  return (
    <Popover
      open={open}
      onOpenChange={setOpen}
      trigger="click"
      placement="bottomRight"
      title={t('governance:purpose.title')}
      content={
        <div className="purpose-card">
          <dl className="reason-facts">
            <dt>{t('governance:purpose.kind_label')}</dt>
            <dd>{kind}</dd>
            <dt>{t('governance:purpose.case_no')}</dt>
            <dd>{purpose.case_no}</dd>
            <dt>{t('governance:purpose.unit')}</dt>
            <dd>{purpose.unit}</dd>
            <dt>{t('governance:purpose.note')}</dt>
            <dd>{purpose.note || t('shared:none')}</dd>
            <dt>{t('governance:purpose.opened_at')}</dt>
            <dd>{stamp(purpose.opened_at)}</dd>
            <dt>{t('governance:purpose.expires_at')}</dt>
            <dd>{stamp(purpose.expires_at)}</dd>
          </dl>
          {purpose.kind === 'maintenance' ? (
            <p className="muted">{t('governance:purpose.maintenance_hint')}</p>
          ) : null}
          <div className="purpose-acts">
            <Button danger loading={end.isPending} onClick={() => end.mutate(purpose.id)}>
              {t('governance:purpose.end')}
            </Button>
            <Button
              type="primary"
              onClick={() => {
                setOpen(false)
                onAnother()
              }}
            >
              {t('governance:purpose.another')}
            </Button>
          </div>
        </div>
      }
    >
      <button
        type="button"
        className={ending ? 'pill purpose-chip purpose-ending' : 'pill purpose-chip'}
        aria-label={`${t('governance:purpose.title')}: ${kind} ${purpose.case_no}, ${minutes}`}
        aria-keyshortcuts="Alt+P"
      >
        {ending ? <WarningOutlined aria-hidden /> : <FileProtectOutlined aria-hidden />}
        <span className="purpose-kind">{kind}</span> <b>{purpose.case_no}</b>
        <span className="purpose-left">{minutes}</span>
      </button>
    </Popover>
  )
}
