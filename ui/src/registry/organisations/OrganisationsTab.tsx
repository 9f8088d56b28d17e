import { useQuery } from '@tanstack/react-query'
import { Button, Form, Input, Select } from 'antd'
import { useState, type KeyboardEvent } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import type { Id, Organisation, OrganisationNode } from '../../api/types'
import { paths } from '../../app/paths'
import { useCan } from '../../governance/session'
import { Act } from '../../shared/Act'
import { Copyable } from '../../shared/Copyable'
import { Face, Failed, Loading } from '../../shared/Face'
import { FormDialog } from '../../shared/FormDialog'
import { count } from '../../shared/format'
import { useAddress } from '../../shared/useAddress'
import { DivisionSelect } from '../files/FileField'
import { readBranch } from '../OrganisationPicker'
import { ORGANISATION_KINDS, useAddOrganisation, useChangeOrganisation, useOrganisation } from './queries'
import '../registry.css'
import './organisations.css'

/** The tree of organisations: how many points each has, and what it is known by. */
export function OrganisationsTab() {
  const { t } = useTranslation()
  const [search, , put] = useAddress()
  const chosen = search.get('unit')
  const roots = useBranch(null)
  const first = roots.data?.items[0]?.id ?? null
  if (roots.error) return <Failed error={roots.error} retry={() => void roots.refetch()} />
  if (!roots.data) return <Loading />
  if (roots.data.items.length === 0) return <Face kind="empty" text={t('registry:organisation.none')} />
  return (
    <div className="units">
      <ul className="units-tree" role="tree" aria-label={t('registry:units.title')} onKeyDown={walk}>
        {roots.data.items.map((node) => (
          <Branch
            key={node.id}
            node={node}
            level={1}
            chosen={chosen ?? first}
            isOpen
            onChoose={(unit) => put({ unit })}
          />
        ))}
      </ul>
      <Chosen key={chosen ?? first} id={chosen ?? first} onChoose={(unit) => put({ unit })} />
    </div>
  )
}

function useBranch(parent: Id | null, enabled = true) {
  return useQuery({
    queryKey: ['organisations', parent],
    enabled,
    staleTime: 60_000,
    queryFn: ({ signal }) => readBranch(parent, signal),
  })
}

/** Arrows walk through what is shown; right opens a branch, left closes it. */
function walk(event: KeyboardEvent<HTMLElement>) {
  const here = (event.target as HTMLElement).closest<HTMLElement>('[role="treeitem"]')
  if (!here) return
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="treeitem"]')]
  const at = all.indexOf(here)
  const moves: Partial<Record<string, HTMLElement | undefined>> = {
    ArrowDown: all[at + 1],
    ArrowUp: all[at - 1],
    Home: all[0],
    End: all.at(-1),
  }
  const expanded = here.getAttribute('aria-expanded')
  if (event.key === 'ArrowRight' && expanded === 'false')
    here.querySelector<HTMLElement>('.unit-flip')?.click()
  else if (event.key === 'ArrowLeft' && expanded === 'true')
    here.querySelector<HTMLElement>('.unit-flip')?.click()
  else if (event.key === 'Enter' || event.key === ' ') here.querySelector<HTMLElement>('.unit')?.click()
  else if (moves[event.key]) moves[event.key]?.focus()
  else return
  event.preventDefault()
  event.stopPropagation()
}

interface BranchProps {
  node: OrganisationNode
  level: number
  chosen: Id | null
  isOpen?: boolean
  onChoose: (unit: Id) => void
}

function Branch({ node, level, chosen, isOpen = false, onChoose }: BranchProps) {
  const { t } = useTranslation()
  const [open, setOpen] = useState(isOpen)
  const branch = useBranch(node.id, open && node.children_count > 0)
  const isLeaf = node.children_count === 0
  return (
    <li
      role="treeitem"
      aria-selected={node.id === chosen}
      aria-level={level}
      aria-expanded={isLeaf ? undefined : open}
      tabIndex={node.id === chosen ? 0 : -1}
    >
      <div className="unit-row" style={{ paddingLeft: (level - 1) * 18 }}>
        {isLeaf ? (
          <span className="unit-flip" />
        ) : (
          <button
            type="button"
            className="unit-flip"
            tabIndex={-1}
            aria-hidden
            onClick={() => setOpen(!open)}
          >
            {open ? '▾' : '▸'}
          </button>
        )}
        <button type="button" className="unit" tabIndex={-1} onClick={() => onChoose(node.id)}>
          <span>{node.name}</span>
          <small>{t(`registry:units.kind.${node.kind}`, { defaultValue: node.kind })}</small>
          <span className="unit-count" title={t('registry:units.count_means')}>
            {count(node.points.online)} / {count(node.points.total)}
          </span>
        </button>
      </div>
      {open && branch.error ? (
        <Button type="link" size="small" onClick={() => void branch.refetch()}>
          {t('shared:face.retry')}
        </Button>
      ) : null}
      {open && branch.data ? (
        <ul role="group">
          {branch.data.items.map((child) => (
            <Branch key={child.id} node={child} level={level + 1} chosen={chosen} onChoose={onChoose} />
          ))}
        </ul>
      ) : null}
    </li>
  )
}

function Chosen({ id, onChoose }: { id: Id | null; onChoose: (unit: Id) => void }) {
  const { t } = useTranslation()
  const can = useCan()
  const found = useOrganisation(id)
  const [form, setForm] = useState<'add' | 'change' | null>(null)
  const denied = can.edit_points ? null : t('shared:not_allowed')
  const one = found.data
  if (found.error) return <Failed error={found.error} retry={() => void found.refetch()} />
  if (!one) return <Loading />
  return (
    <section className="unit-detail" aria-label={one.name}>
      <h2>{one.name}</h2>
      <p className="muted">{one.path.map(({ name }) => name).join(' › ')}</p>
      <dl className="facts">
        <dt>{t('registry:units.kind_label')}</dt>
        <dd>{t(`registry:units.kind.${one.kind}`)}</dd>
        <dt>{t('registry:field.division')}</dt>
        <dd>{one.division ? `${one.division.name} ${one.division.code}` : t('shared:none')}</dd>
        <dt>{t('registry:units.police_code')}</dt>
        <dd>{one.police_code ? <Copyable text={one.police_code} /> : t('shared:none')}</dd>
        <dt>{t('registry:units.gb_id')}</dt>
        <dd>{one.gb_id ? <Copyable text={one.gb_id} /> : t('shared:none')}</dd>
        <dt>{t('registry:units.children')}</dt>
        <dd>{count(one.children_count)}</dd>
        <dt>{t('registry:units.points')}</dt>
        <dd>
          <Link to={paths.devices({ tab: 'files', organisation: one.id })}>{count(one.points.total)}</Link>{' '}
          <span className="muted">{t('registry:units.online', { n: count(one.points.online) })}</span>
        </dd>
      </dl>
      <div className="row-acts">
        <Act type="primary" reason={denied} run={() => setForm('add')}>
          {t('registry:units.add')}
        </Act>
        <Act
          reason={denied ?? (one.id === 'city' ? t('registry:units.city_named') : null)}
          run={() => setForm('change')}
        >
          {t('registry:units.change')}
        </Act>
        <Act to={paths.map({ organisation: one.id })}>{t('registry:units.on_map')}</Act>
        <Act to={paths.devices({ tab: 'findings', organisation: one.id })}>
          {t('registry:findings.title')}
        </Act>
      </div>
      <p className="muted">{t('registry:units.stays')}</p>
      {form === 'add' ? (
        <AddForm parent={one} onClose={() => setForm(null)} onMade={onChoose} />
      ) : form === 'change' ? (
        <ChangeForm unit={one} onClose={() => setForm(null)} />
      ) : null}
    </section>
  )
}

interface Fields {
  name: string
  kind: (typeof ORGANISATION_KINDS)[number]
  division?: string
  police_code?: string
  gb_id?: string
}

function Questions() {
  const { t } = useTranslation()
  const digits = (length: number) => ({
    pattern: new RegExp(`^\\d{${length}}$`),
    message: t('registry:units.digits', { n: length }),
  })
  return (
    <>
      <Form.Item
        name="name"
        label={t('registry:units.name')}
        rules={[{ required: true, whitespace: true, message: t('registry:units.name_needed') }]}
      >
        <Input maxLength={100} autoFocus />
      </Form.Item>
      <Form.Item name="kind" label={t('registry:units.kind_label')}>
        <Select
          options={ORGANISATION_KINDS.filter((kind) => kind !== 'city').map((value) => ({
            value,
            label: t(`registry:units.kind.${value}`),
          }))}
        />
      </Form.Item>
      <Form.Item
        name="division"
        label={t('registry:field.division')}
        getValueProps={(value: string | undefined) => ({ value: value ?? '' })}
      >
        <DivisionSelect value="" onChange={() => undefined} />
      </Form.Item>
      <Form.Item name="police_code" label={t('registry:units.police_code')} rules={[digits(12)]}>
        <Input maxLength={12} inputMode="numeric" />
      </Form.Item>
      <Form.Item name="gb_id" label={t('registry:units.gb_id')} rules={[digits(20)]}>
        <Input maxLength={20} inputMode="numeric" />
      </Form.Item>
    </>
  )
}

function AddForm({
  parent,
  onClose,
  onMade,
}: {
  parent: Organisation
  onClose: () => void
  onMade: (unit: Id) => void
}) {
  const { t } = useTranslation()
  const add = useAddOrganisation(({ id }) => {
    onClose()
    onMade(id)
  })
  return (
    <FormDialog<Fields>
      title={t('registry:units.add_below', { name: parent.name })}
      isSaving={add.isPending}
      onClose={onClose}
      initialValues={{ kind: parent.kind === 'city' ? 'district' : 'other' }}
      onFinish={({ name, kind, division, police_code, gb_id }) =>
        add.mutate({
          name,
          kind,
          parent: parent.id,
          division: division || null,
          police_code: police_code || null,
          gb_id: gb_id || null,
        })
      }
    >
      <Questions />
    </FormDialog>
  )
}

function ChangeForm({ unit, onClose }: { unit: Organisation; onClose: () => void }) {
  const { t } = useTranslation()
  const change = useChangeOrganisation(unit.id, onClose)
  return (
    <FormDialog<Fields>
      title={t('registry:units.change_of', { name: unit.name })}
      isSaving={change.isPending}
      onClose={onClose}
      initialValues={{ ...unit, division: unit.division?.code ?? '' }}
      onFinish={({ name, kind, division, police_code, gb_id }) =>
        change.mutate({
          name,
          kind,
          division: division || null,
          police_code: police_code || null,
          gb_id: gb_id || null,
        })
      }
    >
      <Questions />
    </FormDialog>
  )
}
