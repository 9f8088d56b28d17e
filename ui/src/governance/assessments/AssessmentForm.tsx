import { Form, Input, Select } from 'antd'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Assessment, AssessmentEdit, VideoSystem } from '../../api/types'
import { OrganisationPicker } from '../../registry/OrganisationPicker'
import { FormDialog } from '../../shared/FormDialog'
import { useDo } from '../../shared/useDo'
import { usePages } from '../../shared/usePages'
import { DayItem } from '../rights/DayItem'
import { draftOf, fieldsOf, type AssessmentFields } from './assessments'
import '../sharing/agreements.css'

/** one: null for a new assessment. isNew: a new edition of it is written, not the draft changed. */
export interface Editing {
  one: Assessment | null
  isNew: boolean
}

interface AssessmentFormProps extends Editing {
  onSaved: (one: Assessment) => void
  onClose: () => void
}

const TEXTS = ['necessity', 'risks', 'measures', 'conclusion'] as const

/** Writes an assessment or a new edition of one, or changes a draft. */
export function AssessmentForm({ one, isNew, onSaved, onClose }: AssessmentFormProps) {
  const { t } = useTranslation()
  const [form] = Form.useForm<AssessmentFields>()
  const organisation = Form.useWatch<string | undefined>('organisation', form) ?? one?.organisation.id
  const systems = usePages<VideoSystem>('video-systems', '/video-systems')
  const save = useDo({
    run: (fields: AssessmentFields) => {
      const draft = draftOf(fields)
      if (one === null) return fetched<Assessment>('POST', '/assessments', { json: draft })
      if (isNew) return fetched<Assessment>('POST', `/assessments/${one.id}/editions`, { json: draft })
      return fetched<Assessment>('PUT', `/assessments/${one.id}`, {
        json: { ...draft, version: one.version } satisfies AssessmentEdit,
      })
    },
    done: t('governance:duty.saved'),
    renew: [['assessments']],
    then: (made: Assessment) => {
      onSaved(made)
      onClose()
    },
  })
  const needed = [{ required: true, whitespace: true, message: t('governance:breach.needed') }]
  const choices = systems.rows
    .filter((each) => each.organisation.id === organisation)
    .map(({ id, name }) => ({ value: id, label: name }))
  const kept = one?.system
  if (kept && one.organisation.id === organisation && !choices.some(({ value }) => value === kept.id))
    choices.push({ value: kept.id, label: kept.name })
  return (
    <FormDialog<AssessmentFields>
      form={form}
      width={760}
      title={
        one === null
          ? t('governance:assessment.add')
          : isNew
            ? t('governance:assessment.revise_title', { name: one.subject })
            : t('governance:duty.edit_title', { name: one.subject })
      }
      isSaving={save.isPending}
      onClose={onClose}
      initialValues={fieldsOf(one, isNew, Date.now())}
      onFinish={(fields) => save.mutate(fields)}
    >
      <Form.Item name="subject" label={t('governance:assessment.subject')} rules={needed}>
        <Input maxLength={200} autoFocus placeholder={t('governance:assessment.subject_hint')} />
      </Form.Item>
      <div className="agreement-pair">
        <Form.Item
          name="organisation"
          label={t('governance:assessment.unit')}
          rules={[{ required: true, message: t('governance:user.organisation_needed') }]}
        >
          <OrganisationPicker
            known={one?.organisation ?? null}
            onChange={() => form.setFieldValue('system', '')}
          />
        </Form.Item>
        <Form.Item
          name="system"
          label={t('governance:assessment.system')}
          extra={t('governance:assessment.system_hint')}
        >
          <Select
            loading={systems.isPending}
            options={[{ value: '', label: t('governance:assessment.no_system') }, ...choices]}
          />
        </Form.Item>
      </div>
      {TEXTS.map((name) => (
        <Form.Item
          key={name}
          name={name}
          label={t(`governance:assessment.${name}`)}
          extra={t(`governance:assessment.hint.${name}`)}
          rules={needed}
        >
          <Input.TextArea
            maxLength={name === 'conclusion' ? 2000 : 4000}
            autoSize={{ minRows: 2, maxRows: 8 }}
          />
        </Form.Item>
      ))}
      <div className="agreement-pair">
        <DayItem name="made_on" label={t('governance:assessment.made_on')} isNeeded />
        <DayItem
          name="review_by"
          label={t('governance:assessment.review_by')}
          extra={t('governance:assessment.review_hint')}
          isNeeded
        />
      </div>
    </FormDialog>
  )
}
