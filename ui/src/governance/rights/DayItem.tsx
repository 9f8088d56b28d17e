import { Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import { dayOf } from './grants'

type Name = string | (string | number)[]

/** A civil day as everybody here writes it, whatever the browser's own language; empty where none is needed. */
export function DayItem({
  name,
  label,
  extra,
  isNeeded = false,
}: {
  name: Name
  label: string
  extra?: string
  isNeeded?: boolean
}) {
  const { t } = useTranslation()
  return (
    <Form.Item
      name={name}
      label={label}
      {...(extra === undefined ? {} : { extra })}
      rules={[
        {
          validator: (_, text: string | undefined) =>
            (text ? isDay(text) : !isNeeded)
              ? Promise.resolve()
              : Promise.reject(new Error(t('governance:grant.day_rule'))),
        },
      ]}
    >
      <Input placeholder={dayOf(Date.now())} maxLength={10} inputMode="numeric" />
    </Form.Item>
  )
}

/** A time of day, 24 hours. */
export function HourItem({ name, label }: { name: Name; label: string }) {
  const { t } = useTranslation()
  return (
    <Form.Item
      name={name}
      rules={[
        { required: true, pattern: /^([01]\d|2[0-3]):[0-5]\d$/, message: t('governance:grant.hour_rule') },
      ]}
    >
      <Input aria-label={label} maxLength={5} inputMode="numeric" style={{ width: 76 }} />
    </Form.Item>
  )
}

/** Whether there is such a day: a month's 31st may be the next one's first. */
function isDay(text: string): boolean {
  const at = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T12:00:00+08:00`) : NaN
  return !Number.isNaN(at) && dayOf(at) === text
}
