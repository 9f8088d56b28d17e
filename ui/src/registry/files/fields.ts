import { useQuery } from '@tanstack/react-query'
import type { TFunction } from 'i18next'
import { useTranslation } from 'react-i18next'
import { fetched } from '../../api/client'
import type { FileEntry, Finding, Id, Page, PointDetail } from '../../api/types'

/** The camera file in the order in which people read it; what no group names is under the last. */
export const GROUPS = {
  identity: ['code', 'name', 'common_name', 'kind', 'point_class', 'lifecycle'],
  place: [
    'division', 'address', 'street', 'community', 'longitude', 'latitude', 'place_type', 'room_type', 'aims_at',
    'key_object', 'height_m',
  ],
  siting: ['siting', 'consent'],
  roles: [
    'organisation', 'paid', 'owns', 'maintains', 'may_see', 'manager', 'manager_phone', 'department', 'industry_class',
    'police_unit', 'grassroots_code',
  ],
  equipment: [
    'maker', 'model', 'firmware', 'camera_type', 'function_type', 'fill_light', 'imaging', 'lens', 'codec',
    'resolution', 'streams', 'stream_numbers', 'download_speed', 'mobile_type', 'security_level',
  ],
  view: ['facing', 'heading_deg', 'fov_deg', 'vertical_fov_deg', 'view_distance_m'],
  network: ['networking', 'zone', 'ipv4', 'ipv6', 'mac'],
  upkeep: [],
} as const // prettier-ignore
export type Group = keyof typeof GROUPS

export function grouped(fields: readonly FileEntry[]): [Group, FileEntry[]][] {
  const left = new Map(fields.map((field) => [field.key, field]))
  const groups = Object.entries(GROUPS).map(([group, keys]): [Group, FileEntry[]] => [
    group as Group,
    keys.flatMap((key) => {
      const field = left.get(key)
      left.delete(key)
      return field ? [field] : []
    }),
  ])
  groups.at(-1)?.[1].push(...left.values())
  return groups
}

export function useFileFields() {
  return useQuery({
    queryKey: ['file-fields'],
    staleTime: Infinity,
    queryFn: ({ signal }) => fetched<Page<FileEntry>>('GET', '/file-fields', { signal }),
    select: ({ items }) => items,
  })
}

/** What stands in the file, by field, as texts; several values are joined by a slash. */
export type Texts = Readonly<Record<string, string>>

export function textsOf(point: PointDetail): Texts {
  const texts: Record<string, string> = {}
  for (const { key, value } of point.file) if (value !== null) texts[key] = String(value)
  const { paid, owns, maintains, may_see } = point.owners
  const owners = { organisation: point.organisation, paid, owns, maintains }
  for (const [key, one] of Object.entries(owners)) if (one) texts[key] = one.id
  if (may_see.length > 0) texts['may_see'] = may_see.map(({ id }) => id).join('/')
  return texts
}

/** Names of the organisations, by id, and of the division, by code, that a file tells of. */
export function namesOf({ organisation, division, owners }: PointDetail): ReadonlyMap<Id, string> {
  const all = [organisation, owners.paid, owners.owns, owners.maintains, ...owners.may_see]
  const names = new Map(all.flatMap((one) => (one ? [[one.id, one.name] as const] : [])))
  return division ? names.set(division.code, division.name) : names
}

/** What differs from the file: a field that was emptied is null. */
export function changesOf(draft: Texts, before: Texts): Record<string, string | null> {
  const entries = Object.entries(draft).map(([key, text]) => [key, text.trim()] as const)
  return Object.fromEntries(
    entries.filter(([key, text]) => text !== (before[key] ?? '')).map(([key, text]) => [key, text || null]),
  )
}

/** Fields that somebody else changed between two readings and that the draft changes as well. */
export function clashes(draft: Texts, before: Texts, now: Texts): string[] {
  return Object.keys(changesOf(draft, before)).filter((key) => (before[key] ?? '') !== (now[key] ?? ''))
}

/** `retention_days: 应为 0 到 3650 的整数; mac: …` by field; what names none is under "". */
export function refusals(reason: string, known: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>()
  for (const part of reason.split(/; (?=[a-z0-9_]+: )/)) {
    const [, key, said] = /^([a-z0-9_]+): ([^]*)$/.exec(part) ?? []
    const at = key !== undefined && known.has(key) ? key : ''
    const text = at && said !== undefined ? said : part
    found.set(at, found.has(at) ? `${found.get(at) ?? ''}; ${text}` : text)
  }
  return found
}

/** What is wrong by field, of all open findings of a point. */
export function faultsAt(
  findings: readonly Finding[],
): Map<string, { severity: Finding['severity']; message: string }[]> {
  const at = new Map<string, { severity: Finding['severity']; message: string }[]>()
  for (const { severity, faults } of findings)
    for (const { field, message } of faults) at.set(field, [...(at.get(field) ?? []), { severity, message }])
  return at
}

export function fieldLabel({ key, label }: Pick<FileEntry, 'key' | 'label'>, t: TFunction): string {
  return t(`registry:field.${key}`, { defaultValue: label })
}

export function choiceLabel(field: FileEntry, value: string, t: TFunction): string {
  const known = field.choices.find((choice) => choice.value === value)
  // a full stop leads i18next one level down
  if (!known || value.includes('.')) return known?.label ?? value
  return t(`registry:choice.${field.key}.${value}`, { defaultValue: known.label })
}

export const isNeeded = (field: FileEntry, point: Pick<PointDetail, 'class' | 'kind'>): boolean =>
  field.classes.includes(point.class) && (!field.of_seeing || !['sensor', 'alarm_point'].includes(point.kind))

const ORGANISATIONS = ['organisation', 'organisations']

/** A value as people read it. names: of organisations. */
export function valueText(
  field: FileEntry,
  text: string,
  names: ReadonlyMap<Id, string>,
  t: TFunction,
): string {
  if (text === '') return ''
  const comma = t('registry:file.comma')
  if (ORGANISATIONS.includes(field.form))
    return text
      .split('/')
      .map((id) => names.get(id) ?? id)
      .join(comma)
  if (field.form === 'division') return [names.get(text), text].filter((part) => part !== undefined).join(' ')
  if (field.choices.length === 0) return text
  const parts = field.form === 'choices' ? text.split('/') : [text]
  return parts.map((value) => choiceLabel(field, value, t)).join(comma)
}

/** A value as a generation of the standard writes it; empty where it has no word for it. */
export function written(
  field: FileEntry,
  text: string,
  generation: 'a' | 'b',
  names: ReadonlyMap<Id, string>,
): string {
  if (ORGANISATIONS.includes(field.form))
    return text
      .split('/')
      .map((id) => names.get(id) ?? id)
      .join('/')
  if (field.choices.length === 0) return text
  const parts = field.form === 'choices' ? text.split('/') : [text]
  const codes = parts.map((value) => {
    const known = field.choices.find((choice) => choice.value === value)
    if (known) return known[generation]
    return field.key === 'place_type' && (value.length === 7) !== (generation === 'b') ? '' : value
  })
  return [...new Set(codes.filter(Boolean))].join('/')
}

/** A value of a version, where organisations are names already. */
export function changedText(field: FileEntry | undefined, value: unknown, t: TFunction): string {
  if (value === null || value === undefined || value === '') return ''
  if (typeof value === 'boolean') return t(value ? 'shared:yes' : 'shared:no')
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return field ? valueText(field, text, new Map(), t) : text
}

export function useFieldsByKey(): ReadonlyMap<string, FileEntry> {
  const fields = useFileFields()
  return new Map((fields.data ?? []).map((field) => [field.key, field]))
}

/** `点位名称` and the like, for a field by its key. */
export function useFieldName(): (key: string) => string {
  const { t } = useTranslation()
  const known = useFieldsByKey()
  return (key) => fieldLabel(known.get(key) ?? { key, label: key }, t)
}
