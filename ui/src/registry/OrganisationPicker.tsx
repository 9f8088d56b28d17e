import { useQuery, useQueryClient } from '@tanstack/react-query'
import { TreeSelect } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetched } from '../api/client'
import type { Id, Named, OrganisationNode, Page } from '../api/types'
import { said } from '../said/said'

interface PickerProps {
  value?: Id
  onChange?: (id: Id) => void
  /** The organisation chosen so far, whose branch may not be read yet. */
  known?: Named | null
  id?: string
}

function readBranch(parent: Id | null, signal?: AbortSignal) {
  return fetched<Page<OrganisationNode>>('GET', '/organisations', { query: { parent, limit: 500 }, signal })
}

/** The tree of organisations; branches are read when opened. */
export function OrganisationPicker({ value, onChange, known, id }: PickerProps) {
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
  if (known && !nodes.some((node) => node.id === known.id))
    data.push({ id: known.id, pId: 0, value: known.id, title: known.name, isLeaf: true })
  return (
    <TreeSelect<Id>
      {...(id === undefined ? {} : { id })}
      {...(value === undefined ? {} : { value })}
      treeDataSimpleMode
      treeData={data}
      showSearch={{ treeNodeFilterProp: 'title' }}
      loading={roots.isPending}
      status={roots.error ? 'error' : ''}
      placeholder={t('registry:organisation.choose')}
      notFoundContent={roots.error ? said(roots.error.message) : t('registry:organisation.none')}
      loadData={async (node) => {
        const parent = String(node.value)
        const page = await client.query({
          queryKey: ['organisations', parent],
          staleTime: 60_000,
          queryFn: ({ signal }) => readBranch(parent, signal),
        })
        setBranches((old) => [...old.filter((one) => one.parent !== parent), ...page.items])
      }}
      onChange={(next) => onChange?.(next)}
    />
  )
}
