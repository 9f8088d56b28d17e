import { Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'
import { typedTime } from '../../media/playback/axis'
import { stamp } from '../../shared/format'

/** A civil day and time as everybody here writes it. */
export function MomentItem({
  name,
  label,
  isNeeded = false,
}: {
  name: string
  label: string
  isNeeded?: boolean
}) {
  const { t } = useTranslation()
  return (
    <Form.Item
      name={name}
      label={label}
      rules={[
        {
          validator: (_, text: string | undefined) =>
            (text ? typedTime(text, Date.now()) !== null : !isNeeded)
              ? Promise.resolve()
              : Promise.reject(new Error(t('governance:breach.moment_rule'))),
        },
      ]}
    >
      <Input placeholder={stamp(Date.now()).slice(0, 16)} maxLength={19} />
    </Form.Item>
  )
}
