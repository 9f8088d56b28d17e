import { CloseCircleFilled, SearchOutlined } from '@ant-design/icons'
import { Input, type InputProps } from 'antd'
import { useTranslation } from 'react-i18next'

interface SearchInputProps extends Omit<InputProps, 'allowClear' | 'prefix' | 'aria-label'> {
  /** What can be looked for; also its name. */
  placeholder: string
}

/** Where one types what is looked for, and what empties it again. */
export function SearchInput(props: SearchInputProps) {
  const { t } = useTranslation()
  return (
    <Input
      {...props}
      prefix={<SearchOutlined aria-hidden />}
      aria-label={props.placeholder}
      allowClear={{ clearIcon: <CloseCircleFilled aria-label={t('shared:clear')} /> }}
    />
  )
}
