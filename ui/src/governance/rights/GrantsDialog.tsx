import { DeleteOutlined, PlusOutlined } from '@ant-design/icons'
import { useQuery } from '@tanstack/react-query'
import { Button, Checkbox, Form, Radio, Select } from 'antd'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { Grant, GrantDraft, Id, Named, User } from '../../api/types'
import { OrganisationPicker } from '../../registry/OrganisationPicker'
import { Face, Failed, Loading } from '../../shared/Face'
import { FormDialog } from '../../shared/FormDialog'
import { useDo } from '../../shared/useDo'
import { DayItem, HourItem } from './DayItem'
import { blankGrant, draftOf, fieldsOf, type GrantFields } from './grants'
import './rights.css'

const KINDS = ['camera', 'checkpoint', 'alarm_point', 'sensor', 'watchtower'] as const
const CLASSES = [1, 2, 3, 4, 9] as const
const DAYS = [0, 1, 2, 3, 4, 5, 6] as const
const LIVES = ['always', 'hours'] as const
const HISTORIES = ['all', 'since', 'none'] as const

interface Items {
  items: GrantFields[]
}

/** Where and when an account may do what its role may. */
export function GrantsDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const { t } = useTranslation()
  const grants = useQuery({
    queryKey: ['grants', user.id],
    queryFn: ({ signal }) => fetched<{ items: Grant[] }>('GET', `/users/${user.id}/grants`, { signal }),
    gcTime: 0,
  })
  const save = useDo({
    run: ({ items }: Items) =>
      fetched<{ items: Grant[] }>('PUT', `/users/${user.id}/grants`, {
        json: { items: items.map(draftOf) satisfies GrantDraft[] },
      }),
    done: t('governance:grant.saved'),
    renew: [['grants', user.id], ['rights']],
    then: onClose,
  })
  const [form] = Form.useForm<Items>()
  useEffect(() => {
    if (grants.data) form.setFieldsValue({ items: grants.data.items.map(fieldsOf) })
  }, [form, grants.data])
  const known = new Map<Id, Named>([
    [user.organisation.id, user.organisation],
    ...(grants.data?.items ?? []).map(({ organisation }) => [organisation.id, organisation] as const),
  ])
  return (
    <FormDialog<Items>
      form={form}
      title={t('governance:grant.title', { name: user.username })}
      width={760}
      isSaving={save.isPending}
      isReady={grants.data !== undefined}
      onClose={onClose}
      onFinish={(fields) => save.mutate(fields)}
    >
      <p className="grant-lead">
        {t('governance:grant.lead', { role: t(`governance:role.${user.role}`, { defaultValue: user.role }) })}
      </p>
      {grants.error ? <Failed error={grants.error} retry={() => void grants.refetch()} /> : null}
      {grants.isPending ? <Loading /> : null}
      {grants.data ? (
        <Form.List name="items">
          {(fields, { add, remove }) => (
            <div className="grants">
              {fields.length === 0 ? <Face kind="empty" text={t('governance:grant.none')} /> : null}
              {fields.map(({ key, name }) => (
                <GrantPart key={key} at={name} known={known} onRemove={() => remove(name)} />
              ))}
              <Button icon={<PlusOutlined />} onClick={() => add(blankGrant(user.organisation))}>
                {t('governance:grant.add')}
              </Button>
            </div>
          )}
        </Form.List>
      ) : null}
    </FormDialog>
  )
}

function GrantPart({
  at,
  known,
  onRemove,
}: {
  at: number
  known: ReadonlyMap<Id, Named>
  onRemove: () => void
}) {
  const { t } = useTranslation()
  const form = Form.useFormInstance<Items>()
  const organisation = Form.useWatch(['items', at, 'organisation'], form) as Id | undefined
  const live = Form.useWatch(['items', at, 'live'], form) as GrantFields['live'] | undefined
  const history = Form.useWatch(['items', at, 'history'], form) as GrantFields['history'] | undefined
  const everything = t('governance:grant.everything')
  return (
    <fieldset className="grant" aria-label={t('governance:grant.one', { n: at + 1 })}>
      <Button
        type="text"
        size="small"
        className="grant-remove"
        icon={<DeleteOutlined />}
        aria-label={t('governance:grant.remove', { n: at + 1 })}
        onClick={onRemove}
      />
      {/* what the account has now rides along, so that untouched times stay exact */}
      <Form.Item name={[at, 'was']} noStyle>
        <Kept />
      </Form.Item>
      <Form.Item
        className="grant-wide"
        name={[at, 'organisation']}
        label={t('governance:grant.organisation')}
        rules={[{ required: true, message: t('governance:user.organisation_needed') }]}
      >
        <OrganisationPicker known={known.get(organisation ?? '') ?? null} />
      </Form.Item>
      <Form.Item name={[at, 'classes']} label={t('governance:grant.classes')}>
        <Select
          mode="multiple"
          showSearch={{ optionFilterProp: 'label' }}
          placeholder={everything}
          options={CLASSES.map((value) => ({ value, label: t(`shared:class.${value}`) }))}
        />
      </Form.Item>
      <Form.Item name={[at, 'kinds']} label={t('governance:grant.kinds')}>
        <Select
          mode="multiple"
          showSearch={{ optionFilterProp: 'label' }}
          placeholder={everything}
          options={KINDS.map((value) => ({ value, label: t(`shared:kind.${value}`) }))}
        />
      </Form.Item>
      <Form.Item name={[at, 'departments']} label={t('governance:grant.departments')}>
        <Select
          mode="tags"
          open={false}
          suffix={null}
          placeholder={everything}
          tokenSeparators={[' ', ',', '/']}
        />
      </Form.Item>
      <Form.Item name={[at, 'zones']} label={t('governance:grant.zones')}>
        <Select
          mode="tags"
          open={false}
          suffix={null}
          placeholder={everything}
          tokenSeparators={[' ', ',']}
        />
      </Form.Item>
      <DayItem name={[at, 'from']} label={t('governance:grant.from')} />
      <DayItem name={[at, 'to']} label={t('governance:grant.to')} />
      <Form.Item className="grant-wide" name={[at, 'live']} label={t('governance:grant.live')}>
        <Radio.Group
          options={LIVES.map((value) => ({ value, label: t(`governance:grant.live_${value}`) }))}
        />
      </Form.Item>
      {live === 'hours' ? (
        <div className="grant-wide grant-hours">
          <Form.Item
            name={[at, 'days']}
            rules={[{ required: true, type: 'array', min: 1, message: t('governance:grant.days_needed') }]}
          >
            <Checkbox.Group
              options={DAYS.map((value) => ({ value, label: t(`governance:grant.day.${value}`) }))}
            />
          </Form.Item>
          <HourItem name={[at, 'start']} label={t('governance:grant.start')} />
          <span>–</span>
          <HourItem name={[at, 'end']} label={t('governance:grant.end')} />
        </div>
      ) : null}
      <Form.Item className="grant-wide" name={[at, 'history']} label={t('governance:grant.history')}>
        <Radio.Group
          options={HISTORIES.map((value) => ({ value, label: t(`governance:grant.history_${value}`) }))}
        />
      </Form.Item>
      {history === 'since' ? (
        <DayItem name={[at, 'since']} label={t('governance:grant.history_since')} isNeeded />
      ) : null}
    </fieldset>
  )
}

/** A value of the form that nobody sees. */
function Kept() {
  return null
}
