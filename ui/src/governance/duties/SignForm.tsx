import { Form, Input, InputNumber } from 'antd'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Id, Sign, SignDraft, SignEdit } from '../../api/types'
import { FormDialog } from '../../shared/FormDialog'
import { useDo } from '../../shared/useDo'
import { DayItem } from '../rights/DayItem'
import { dayOf } from '../rights/grants'
import { photoFault, PHOTO_TYPES } from './duties'
import { photoUrl } from './SignsList'

type Fields = Omit<SignEdit, 'version' | 'longitude' | 'latitude'> & {
  longitude?: number | null
  latitude?: number | null
}

/** Enters a sign with its photo, or changes one; a new day of its check is a change, too. */
export function SignForm({ sign, system, onClose }: { sign: Sign | null; system: Id; onClose: () => void }) {
  const { t } = useTranslation()
  // entered before a photo that was refused: it must not be entered twice
  const [entered, setEntered] = useState(sign)
  const [photo, setPhoto] = useState<File | null>(null)
  const [fault, setFault] = useState<ReturnType<typeof photoFault>>(null)
  const save = useDo({
    run: async ({ longitude, latitude, ...rest }: Fields) => {
      const draft = { ...rest, longitude: longitude ?? null, latitude: latitude ?? null }
      const saved = entered
        ? await fetched<Sign>('PUT', `/signs/${entered.id}`, {
            json: { ...draft, version: entered.version } satisfies SignEdit,
          })
        : await fetched<Sign>('POST', '/signs', {
            json: { ...draft, system, version: 1 } satisfies SignDraft,
          })
      setEntered(saved)
      return photo
        ? fetched<Sign>('PUT', `/signs/${saved.id}/photo`, { raw: { body: photo, type: photo.type } })
        : saved
    },
    done: t('governance:duty.saved'),
    renew: [['signs'], ['video-systems']],
    then: onClose,
  })
  const needed = [{ required: true, whitespace: true, message: t('governance:sign.needed') }]
  return (
    <FormDialog<Fields>
      title={sign ? t('governance:duty.edit_title', { name: sign.place }) : t('governance:sign.add')}
      isSaving={save.isPending}
      isReady={fault === null}
      onClose={onClose}
      initialValues={{
        place: sign?.place,
        longitude: sign?.longitude,
        latitude: sign?.latitude,
        wording: sign?.wording,
        language: sign?.language ?? 'zh-CN',
        contact: sign?.contact,
        checked_on: sign?.checked_on ?? dayOf(Date.now()),
      }}
      onFinish={(fields) => save.mutate(fields)}
    >
      <Form.Item name="place" label={t('governance:sign.place')} rules={needed}>
        <Input maxLength={200} autoFocus />
      </Form.Item>
      <div className="sign-pair">
        <Form.Item name="longitude" label={t('governance:sign.longitude')}>
          <InputNumber min={73.5} max={135.1} step={0.000001} style={{ width: '100%' }} />
        </Form.Item>
        <Form.Item name="latitude" label={t('governance:sign.latitude')}>
          <InputNumber min={3.8} max={53.6} step={0.000001} style={{ width: '100%' }} />
        </Form.Item>
      </div>
      <Form.Item name="wording" label={t('governance:sign.wording')} rules={needed}>
        <Input.TextArea maxLength={500} autoSize={{ minRows: 2, maxRows: 4 }} />
      </Form.Item>
      <div className="sign-pair">
        <Form.Item name="language" label={t('governance:sign.language')} rules={needed}>
          <Input maxLength={50} />
        </Form.Item>
        <Form.Item name="contact" label={t('governance:sign.contact')} rules={needed}>
          <Input maxLength={200} />
        </Form.Item>
      </div>
      <DayItem name="checked_on" label={t('governance:sign.checked_on')} isNeeded />
      <Form.Item
        label={t('governance:sign.photo')}
        extra={t('governance:sign.photo_hint')}
        {...(fault ? { validateStatus: 'error' as const, help: t(`governance:sign.fault.${fault}`) } : {})}
      >
        <input
          type="file"
          aria-label={t('governance:sign.photo')}
          accept={PHOTO_TYPES.join(',')}
          onChange={({ target }) => {
            const chosen = target.files?.[0] ?? null
            setFault(chosen ? photoFault(chosen) : null)
            setPhoto(chosen)
          }}
        />
        <Preview file={fault ? null : photo} kept={sign?.photo ? photoUrl(sign) : null} />
      </Form.Item>
    </FormDialog>
  )
}

/** The photo that is going to be sent, or the one there is. */
function Preview({ file, kept }: { file: File | null; kept: string | null }) {
  const [address, setAddress] = useState<string | null>(null)
  useEffect(() => {
    if (file === null) return
    const made = URL.createObjectURL(file)
    setAddress(made)
    return () => {
      setAddress(null)
      URL.revokeObjectURL(made)
    }
  }, [file])
  const shown = address ?? kept
  return shown ? <img className="sign-preview" src={shown} alt="" /> : null
}
