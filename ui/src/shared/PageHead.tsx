import type { ReactNode } from 'react'
import './page.css'

interface Tab<K extends string> {
  key: K
  label: ReactNode
}

interface PageHeadProps<K extends string> {
  title: string
  tabs: readonly Tab<K>[]
  tab: K
  onTab: (tab: K) => void
  children?: ReactNode
}

/** The head of a page: its name, its tabs, and what acts on the whole. */
export function PageHead<K extends string>({ title, tabs, tab, onTab, children }: PageHeadProps<K>) {
  return (
    <header className="page-head">
      <h1>{title}</h1>
      <div role="tablist" aria-label={title} className="page-tabs">
        {tabs.map(({ key, label }) => (
          <button key={key} type="button" role="tab" aria-selected={key === tab} onClick={() => onTab(key)}>
            {label}
          </button>
        ))}
      </div>
      <div className="page-acts">{children}</div>
    </header>
  )
}
