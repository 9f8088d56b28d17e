import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Deleted, Id } from '../../api/types'
import { useReasons } from '../../governance/reasons/useReasons'
import { count, rangeText } from '../../shared/format'
import { FormDialog } from '../../shared/FormDialog'
import { useDo } from '../../shared/useDo'
import { App } from 'antd'
import { ReasonField } from '../holds/ReasonField'
import type { Stretch } from '../playback/axis'
import { size } from '../playback/clip'

interface DeleteFormProps {
  point: { id: Id; name: string }
  stretch: Stretch
  onClose: () => void
}

/** Deletes recordings before their time: never alone, never what is younger than the minimum or held. */
export function DeleteForm({ point, stretch, onClose }: DeleteFormProps) {
  const { t } = useTranslation()
  const { message } = App.useApp()
  const { insist } = useReasons()
  const remove = useDo({
    run: ({ reason }: { reason: string }) =>
      insist(
        () =>
          fetched<Deleted>('POST', `/points/${point.id}/deletions`, {
            json: {
              start: new Date(stretch.start).toISOString(),
              end: new Date(stretch.end).toISOString(),
              why: reason.trim(),
            },
          }),
        { action: 'delete', points: [point], ...stretch },
      ),
    renew: [['timeline'], ['deletions'], ['retention-reports']],
    then: (done) => {
      if (done !== null) {
        const text = t('media:retention.done', { n: count(done.count), size: size(done.bytes) })
        const kept = done.held + done.reaching
        void message.success(kept === 0 ? text : `${text} ${t('media:retention.kept', { ...done })}`, 8)
      }
      onClose()
    },
  })
  return (
    <FormDialog<{ reason: string }>
      title={t('media:retention.delete_title')}
      okText={t('media:retention.delete_ok')}
      danger
      isSaving={remove.isPending}
      onClose={onClose}
      onFinish={(fields) => remove.mutate(fields)}
    >
      <p className="hold-what">
        <b>{point.name || point.id}</b>
        <span>{rangeText(stretch.start, stretch.end)}</span>
      </p>
      <p className="muted hold-why">{t('media:retention.delete_text')}</p>
      <ReasonField label={t('media:retention.why')} />
    </FormDialog>
  )
}
