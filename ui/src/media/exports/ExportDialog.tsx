import { Button, Checkbox, Input, Modal, Radio } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetched } from '../../api/client'
import type { ExportDraft, ExportForm, ExportJob, Named } from '../../api/types'
import { paths } from '../../app/paths'
import { useReasons } from '../../governance/reasons/useReasons'
import { Act } from '../../shared/Act'
import { rangeText } from '../../shared/format'
import { useDo } from '../../shared/useDo'
import type { Polygon } from '../masks/geometry'
import type { Stretch } from '../playback/axis'
import { areasFault, LONGEST_MS, type Area } from './exports'
import './exports.css'
import { Redacting } from './Redacting'

interface ExportDialogProps {
  point: Named
  clip: Stretch
  onClose: () => void
}

/** Asks for a package of a clip: as it is, or with areas covered for people outside. */
export function ExportDialog({ point, clip, onClose }: ExportDialogProps) {
  const { t } = useTranslation()
  const reasons = useReasons()
  const [form, setForm] = useState<ExportForm>('original')
  const [recipient, setRecipient] = useState('')
  const [note, setNote] = useState('')
  const [mark, setMark] = useState(false)
  const [sound, setSound] = useState(false)
  const [areas, setAreas] = useState<readonly Area[]>([])
  const [drawing, setDrawing] = useState<Polygon | null>(null)
  const [isClear, setClear] = useState(false)
  const isRedacted = form === 'redacted'
  const iso = (at: number) => new Date(at).toISOString()
  const make = useDo({
    run: () =>
      reasons.insist(
        () =>
          fetched<ExportJob>('POST', '/exports', {
            json: {
              form,
              items: [
                {
                  point: point.id,
                  from: iso(clip.start),
                  to: iso(clip.end),
                  clear: isRedacted && isClear && areas.length === 0,
                },
              ],
              redactions: isRedacted
                ? areas.map(({ start, end, polygon }) => ({
                    point: point.id,
                    from: iso(start),
                    to: iso(end),
                    polygon: polygon.map((corner) => [...corner]),
                  }))
                : [],
              mark,
              sound: isRedacted && sound,
              recipient: recipient.trim(),
              note: note.trim(),
            } satisfies ExportDraft,
          }),
        { action: 'export', points: [point], ...clip },
      ),
    done: t('media:export.asked'),
    renew: [['exports']],
    then: (made) => {
      if (made !== null) onClose()
    },
  })
  const fault = isRedacted ? areasFault(areas, drawing !== null, isClear) : null
  const reason =
    clip.end - clip.start > LONGEST_MS
      ? t('media:export.too_long')
      : fault === null
        ? null
        : t(`media:export.${fault}`)
  return (
    <Modal
      open
      title={t('media:export.dialog', { name: point.name })}
      width={isRedacted ? 'min(1180px, 96vw)' : 640}
      style={{ top: 24 }}
      onCancel={onClose}
      // Escape ends what is being drawn first
      keyboard={drawing === null}
      mask={{ closable: false }}
      footer={
        <div className="export-foot">
          <Link to={paths.system({ tab: 'exports' })}>{t('media:export.see')}</Link>
          <Button onClick={onClose}>{t('shared:cancel')}</Button>
          <Act type="primary" reason={reason} loading={make.isPending} run={() => make.mutate(undefined)}>
            {t('media:export.make')}
          </Act>
        </div>
      }
    >
      <p className="export-what mono">{rangeText(clip.start, clip.end)}</p>
      <Radio.Group
        value={form}
        aria-label={t('media:export.form')}
        optionType="button"
        onChange={(event) => setForm(event.target.value as ExportForm)}
        options={[
          { value: 'original', label: t('media:export.original') },
          { value: 'redacted', label: t('media:export.redacted') },
        ]}
      />
      <p className="muted export-how">{t(`media:export.${form}_how`)}</p>
      {isRedacted ? (
        <Redacting
          point={point}
          clip={clip}
          areas={areas}
          onAreas={setAreas}
          drawing={drawing}
          onDrawing={setDrawing}
          isClear={isClear}
          onClear={setClear}
        />
      ) : null}
      <div className="export-fields">
        <label>
          {t('media:export.recipient')}
          <Input
            value={recipient}
            maxLength={200}
            placeholder={t('media:export.recipient_hint')}
            onChange={(event) => setRecipient(event.target.value)}
          />
        </label>
        <label>
          {t('media:export.note')}
          <Input value={note} maxLength={500} onChange={(event) => setNote(event.target.value)} />
        </label>
        <Checkbox
          style={{ marginTop: 12 }}
          checked={mark}
          onChange={(event) => setMark(event.target.checked)}
        >
          {t('media:export.mark')}
        </Checkbox>
        {isRedacted ? (
          <Checkbox
            style={{ marginTop: 12 }}
            checked={sound}
            onChange={(event) => setSound(event.target.checked)}
          >
            {t('media:export.sound')}
          </Checkbox>
        ) : null}
      </div>
    </Modal>
  )
}
