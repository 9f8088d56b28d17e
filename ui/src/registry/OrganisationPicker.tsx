import { useQuery, useQueryClient } from '@tanstack/react-query'
import { TreeSelect, type TreeSelectProps } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { Id, Named, OrganisationNode, Page } from '../api/types'
import { said } from '../said/said'

interface PickerProps {
  value?: Id
  /** Without an id only where it may be cleared. */
  onChange?: (id: Id | undefined) => void
  /** The organisation chosen so far, whose branch may not be read yet. */
  known?: Named | null
  id?: string
  allowClear?: boolean
  placeholder?: string
}

export function readBranch(parent: Id | null, signal?: AbortSignal) {
  return fetched<Page<OrganisationNode>>('GET', '/organisations', { query: { parent, limit: 500 }, signal })
}

/** What every picker of organisations has: the branches read so far, and how to read another. */
function useTree(known: readonly Named[]): TreeSelectProps {
  const { t } = useTranslation()
  const client = useQueryClient()
  const roots = useQuery({
    queryKey: ['organisations', null],
    queryFn: ({ signal }) => readBranch(null, signal),
  })
  const [branches, setBranches] = useState<readonly OrganisationNode[]>([])
  const nodes = [...(roots.data?.items ?? []), ...branches]
  const data = nodes.map((node) => ({
    id: node.id,
    pId: node.parent ?? 0,
    value: node.id,
    title: node.name,
    isLeaf: node.children_count === 0,
  }))
  for (const { id, name } of known)
    if (!nodes.some((node) => node.id === id)) data.push({ id, pId: 0, value: id, title: name, isLeaf: true })
  return {
    style: { width: '100%' },
    treeDataSimpleMode: true,
    treeData: data,
    showSearch: { treeNodeFilterProp: 'title' },
    loading: roots.isPending,
    status: roots.error ? 'error' : '',
    placeholder: t('registry:organisation.choose'),
    notFoundContent: roots.error ? said(roots.error.message) : t('registry:organisation.none'),
    loadData: async (node) => {
      const parent = String(node.value)
      const page = await client.query({
        queryKey: ['organisations', parent],
        staleTime: 60_000,
        queryFn: ({ signal }) => readBranch(parent, signal),
      })
      setBranches((old) => [...old.filter((one) => one.parent !== parent), ...page.items])
    },
  }
}

/** The tree of organisations; branches are read when opened. */
export function OrganisationPicker({
  value,
  onChange,
  known,
  id,
  allowClear = false,
  placeholder,
}: PickerProps) {
  const tree = useTree(known ? [known] : [])
  return (
    <TreeSelect<Id>
      {...tree}
      {...(id === undefined ? {} : { id })}
      {...(value === undefined ? {} : { value })}
      {...(placeholder === undefined ? {} : { placeholder, 'aria-label': placeholder })}
      allowClear={allowClear}
      onChange={(next: Id | undefined) => onChange?.(next)}
    />
  )
}

interface SeveralProps {
  value: readonly Id[]
  known: readonly Named[]
  onChange: (ids: Id[]) => void
  id?: string
}

/** The same for several of them. */
export function OrganisationsPicker({ value, known, onChange, id }: SeveralProps) {
  const tree = useTree(known)
  return (
    <TreeSelect<Id[]>
      {...tree}
      {...(id === undefined ? {} : { id })}
      multiple
      allowClear
      value={[...value]}
      onChange={(next: Id[]) => onChange(next)}
    />
  )
}
