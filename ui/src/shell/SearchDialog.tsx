import { SearchOutlined } from '@ant-design/icons'
import type { TFunction } from 'i18next'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Input, Modal, type InputRef } from 'antd'
import { useDeferredValue, useEffect, useRef, useState, type KeyboardEvent } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import { fetched } from '../api/client'
import type { Abilities, SearchHit, SearchItem } from '../api/types'
import { paths } from '../app/paths'
import { placesFor } from '../app/places'
import { useCan } from '../governance/session'
import { Face, Failed } from '../shared/Face'
import { StateMark } from '../shared/StateMark'

const TYPES: readonly SearchItem['type'][] = ['point', 'organisation', 'device', 'page']

/** Where a result leads. */
export function targetOf(item: SearchItem): string {
  switch (item.type) {
    case 'point':
      return paths.map({ point: item.id })
    case 'organisation':
      return paths.map({ organisation: item.id, list: '1' })
    case 'device':
      return paths.devices({ device: item.id })
    case 'page':
      return item.id.startsWith('/') ? item.id : `/${item.id}`
  }
}

/** The places whose name or hint holds the text. */
export function pagesNamed(q: string, can: Abilities, t: TFunction): SearchItem[] {
  const wanted = q.toLowerCase()
  return placesFor(can).flatMap(({ key, path }) => {
    const title = t(`shell:place_hint.${key}`)
    const fits = `${title} ${t(`shell:place.${key}`)}`.toLowerCase().includes(wanted)
    return fits && path !== null ? [{ type: 'page', id: path, title, subtitle: null, state: null }] : []
  })
}

export function SearchDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation()
  return (
    <Modal
      open={open}
      onCancel={onClose}
      footer={null}
      closable={false}
      width={640}
      style={{ top: 56 }}
      destroyOnHidden
      styles={{ header: { margin: 0 } }}
      title={<span className="visually-hidden">{t('shared:search')}</span>}
    >
      <Finder open={open} onDone={onClose} />
    </Modal>
  )
}

function Finder({ open: isOpen, onDone }: { open: boolean; onDone: () => void }) {
  const can = useCan()
  const { t } = useTranslation()
  const navigate = useNavigate()
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const list = useRef<HTMLDivElement>(null)
  const field = useRef<InputRef>(null)
  // Opened again at once, it still holds what was typed before: the next key replaces that.
  useEffect(() => {
    if (isOpen) field.current?.focus({ cursor: 'all' })
  }, [isOpen])
  const q = useDeferredValue(text.trim())
  const results = useQuery({
    queryKey: ['search', q],
    enabled: q !== '',
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => fetched<{ items: SearchHit[] }>('GET', '/search', { query: { q }, signal }),
  })
  const pages = q === '' ? [] : pagesNamed(q, can, t)
  const groups = TYPES.map((type) => ({
    type,
    items: type === 'page' ? pages : (results.data?.items.filter((item) => item.type === type) ?? []),
  })).filter((group) => group.items.length > 0)
  const flat = groups.flatMap((group) => group.items)
  const chosen = Math.min(at, flat.length - 1)

  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' })
  }, [chosen])

  const open = (item: SearchItem | undefined) => {
    if (!item) return
    // The dialog takes a moment to go; keys pressed meanwhile are for the page that opens.
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
    onDone()
    void navigate(targetOf(item))
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(chosen + 1, flat.length - 1))
    else if (event.key === 'ArrowUp') setAt(Math.max(chosen - 1, 0))
    else if (event.key === 'Enter' && !event.nativeEvent.isComposing) open(flat[chosen])
    else return
    event.preventDefault()
  }
  return (
    <>
      <Input
        size="large"
        ref={field}
        autoFocus
        prefix={<SearchOutlined aria-hidden />}
        placeholder={t('shell:search.placeholder')}
        aria-label={t('shared:search')}
        role="combobox"
        aria-expanded={flat.length > 0}
        aria-controls="search-results"
        aria-activedescendant={flat[chosen] ? `search-${chosen}` : undefined}
        value={text}
        onChange={(event) => {
          setText(event.target.value)
          setAt(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div
        className="search-results"
        id="search-results"
        role="listbox"
        ref={list}
        aria-label={t('shell:search.results')}
      >
        {q === '' ? (
          <Face kind="empty" text={t('shell:search.start')} />
        ) : results.error ? (
          <Failed error={results.error} retry={() => void results.refetch()} />
        ) : results.isSuccess && flat.length === 0 ? (
          <Face kind="empty" text={t('shell:search.none', { q })} />
        ) : (
          groups.map((group) => (
            <div key={group.type} role="group" aria-label={t(`shell:search.type.${group.type}`)}>
              <p className="search-group">{t(`shell:search.type.${group.type}`)}</p>
              {group.items.map((item) => {
                const index = flat.indexOf(item)
                return (
                  <div
                    key={item.id}
                    id={`search-${index}`}
                    role="option"
                    aria-selected={index === chosen}
                    className="search-item"
                    onMouseMove={() => setAt(index)}
                    onClick={() => open(item)}
                  >
                    {item.state ? <StateMark state={item.state} /> : null}
                    <span>{item.title}</span>
                    <span className="sub">{item.subtitle}</span>
                  </div>
                )
              })}
            </div>
          ))
        )}
      </div>
      <p className="search-foot">
        <span>↑ ↓ {t('shell:search.choose')}</span>
        <span>Enter {t('shell:search.open')}</span>
        <span>Esc {t('shared:close')}</span>
      </p>
    </>
  )
}
