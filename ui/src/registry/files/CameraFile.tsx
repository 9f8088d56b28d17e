import { useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Input, Segmented } from 'antd'
import { useEffect, useMemo, useRef, useState, type SyntheticEvent } from 'react'
import { useTranslation } from 'react-i18next'
import { ApiError, fetched } from '../../api/client'
import type { FileEntry, Finding, Id, PointDetail } from '../../api/types'
import { useCan } from '../../governance/session'
import { said } from '../../said/said'
import { Act } from '../../shared/Act'
import {
  changesOf,
  clashes,
  faultsAt,
  fieldLabel,
  grouped,
  isNeeded,
  namesOf,
  refusals,
  textsOf,
  valueText,
  written,
  type Texts,
} from './fields'
import { FileField, type Status } from './FileField'
import { useEdit } from './queries'

const VIEWS = ['file', 'a', 'b'] as const
type View = (typeof VIEWS)[number]

interface CameraFileProps {
  point: PointDetail
  fields: readonly FileEntry[]
  findings: readonly Finding[]
  /** The field to begin with: it is shown, and where it may be changed, it has the focus. */
  field: string | null
  /** Whether something was changed and not saved yet. */
  onDirty: (isDirty: boolean) => void
}

/** All fields of a point's file in their groups: as they are, as each generation writes them, or to be changed. */
export function CameraFile({ point, fields, findings, field, onDirty }: CameraFileProps) {
  const { t } = useTranslation()
  const can = useCan()
  const [view, setView] = useState<View>('file')
  const [editing, setEditing] = useState(can.edit_points && field !== null)
  const names = useMemo(() => namesOf(point), [point])
  const at = useMemo(() => faultsAt(findings), [findings])
  const leave = () => {
    setEditing(false)
    onDirty(false)
  }
  return (
    <>
      <div className="file-bar">
        {editing ? (
          <p>{t('registry:file.editing')}</p>
        ) : (
          <Segmented<View>
            size="small"
            value={view}
            aria-label={t('registry:file.as')}
            onChange={setView}
            options={VIEWS.map((value) => ({ value, label: t(`registry:file.view.${value}`) }))}
          />
        )}
        {editing ? null : (
          <Act
            size="small"
            type="primary"
            reason={can.edit_points ? null : t('shared:not_allowed')}
            run={() => {
              setView('file')
              setEditing(true)
            }}
          >
            {t('registry:file.edit')}
          </Act>
        )}
      </div>
      {editing ? (
        <Editing point={point} fields={fields} faults={at} field={field} onDirty={onDirty} onLeave={leave} />
      ) : (
        <Shown point={point} fields={fields} faults={at} view={view} names={names} field={field} />
      )}
    </>
  )
}

type Faults = ReturnType<typeof faultsAt>

interface ShownProps {
  point: PointDetail
  fields: readonly FileEntry[]
  faults: Faults
  view: View
  names: ReadonlyMap<Id, string>
  field: string | null
}

function Shown({ point, fields, faults, view, names, field }: ShownProps) {
  const { t } = useTranslation()
  const texts = useMemo(() => textsOf(point), [point])
  const asked = useRef<HTMLDivElement>(null)
  useEffect(() => asked.current?.scrollIntoView({ block: 'center' }), [field])
  return (
    <div className="file-groups">
      {grouped(fields).map(([group, members]) => {
        const shown = view === 'file' ? members : members.filter((one) => one[view] !== null)
        if (shown.length === 0) return null
        return (
          <section key={group} aria-label={t(`registry:file.group.${group}`)}>
            <h3>{t(`registry:file.group.${group}`)}</h3>
            <dl className="file-grid">
              {shown.map((one) => {
                const text = texts[one.key] ?? ''
                const told =
                  view === 'file' ? valueText(one, text, names, t) : written(one, text, view, names)
                return (
                  <div
                    key={one.key}
                    ref={one.key === field ? asked : null}
                    className={one.key === field ? 'file-cell file-asked' : 'file-cell'}
                  >
                    <dt>
                      {view === 'file' ? fieldLabel(one, t) : one[view]}
                      {isNeeded(one, point) ? <Needed /> : null}
                    </dt>
                    <dd>
                      {told || <span className="muted">{text ? t('registry:file.no_word') : '—'}</span>}
                    </dd>
                    <Told faults={faults.get(one.key)} />
                  </div>
                )
              })}
            </dl>
          </section>
        )
      })}
    </div>
  )
}

/** The mark of a field that must be filled in. */
function Needed() {
  const { t } = useTranslation()
  return (
    <abbr className="file-needed" title={t('registry:file.needed')}>
      *
    </abbr>
  )
}

function Told({ faults, id }: { faults: { severity: string; message: string }[] | undefined; id?: string }) {
  if (!faults) return null
  return (
    <ul className="file-faults" id={id}>
      {faults.map(({ severity, message }) => (
        <li key={message} className={`fault-${severity}`}>
          {said(message)}
        </li>
      ))}
    </ul>
  )
}

function statusOf(refused: string | undefined, faults: { severity: string }[] | undefined): Status {
  if (refused !== undefined || faults?.some(({ severity }) => severity === 'error')) return 'error'
  return faults ? 'warning' : ''
}

interface EditingProps {
  point: PointDetail
  fields: readonly FileEntry[]
  faults: Faults
  field: string | null
  onDirty: (isDirty: boolean) => void
  onLeave: () => void
}

/** The form. What somebody else has saved meanwhile is told, and nothing of one's own is lost. */
function Editing({ point, fields, faults, field, onDirty, onLeave }: EditingProps) {
  const { t } = useTranslation()
  const client = useQueryClient()
  const [base, setBase] = useState(point)
  const [draft, setDraft] = useState<Texts>({})
  const [reason, setReason] = useState('')
  const [refused, setRefused] = useState<ReadonlyMap<string, string>>(new Map())
  const [theirs, setTheirs] = useState<{ version: number; fields: readonly string[] } | null>(null)
  const form = useRef<HTMLFormElement>(null)
  const known = useMemo(() => new Set(fields.map(({ key }) => key)), [fields])
  const before = useMemo(() => textsOf(base), [base])
  const names = useMemo(() => new Map([...namesOf(base), ...namesOf(point)]), [base, point])
  const changes = changesOf(draft, before)
  const many = Object.keys(changes).length

  const focus = (key: string) => {
    const control = form.current?.querySelector<HTMLElement>(`[id="file-${key}"]`)
    control?.scrollIntoView({ block: 'center' })
    control?.focus({ preventScroll: true })
  }
  useEffect(() => {
    const first = field ?? fields[0]?.key
    if (first) focus(first)
    // only where one comes in
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [field])
  useEffect(() => onDirty(many > 0), [many, onDirty])

  const readAgain = async () => {
    const now = await fetched<PointDetail>('GET', `/points/${point.id}`)
    setTheirs({ version: now.version, fields: clashes(draft, before, textsOf(now)) })
    setBase(now)
    client.setQueryData(['point', point.id], now)
  }
  const save = useEdit(
    point.id,
    (saved) => {
      client.setQueryData(['point', point.id], saved)
      onLeave()
    },
    (error) => {
      if (!(error instanceof ApiError)) return false
      if (error.kind === 'conflict') {
        void readAgain()
        return true
      }
      if (error.kind !== 'invalid') return false
      const found = refusals(error.reason, known)
      setRefused(found)
      const first = [...found.keys()].find(Boolean)
      if (first) focus(first)
      return true
    },
  )
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    if (many > 0) save.mutate({ version: base.version, changes, reason: reason.trim() })
  }
  const put = (key: string, value: string) => {
    setDraft((old) => ({ ...old, [key]: value }))
    setRefused((old) => {
      const rest = new Map(old)
      rest.delete(key)
      return rest
    })
  }
  const general = refused.get('')
  return (
    <form className="file-form" ref={form} onSubmit={submit} autoComplete="off">
      {theirs ? (
        <Alert
          type="warning"
          showIcon
          title={t('registry:file.conflict', { version: theirs.version })}
          description={t(
            theirs.fields.length > 0 ? 'registry:file.conflict_both' : 'registry:file.conflict_apart',
          )}
        />
      ) : null}
      {general ? <Alert type="error" showIcon title={said(general)} /> : null}
      <div className="file-groups">
        {grouped(fields).map(([group, members]) => (
          <fieldset key={group}>
            <legend>{t(`registry:file.group.${group}`)}</legend>
            <div className="file-grid">
              {members.map((one) => {
                const value = draft[one.key] ?? before[one.key] ?? ''
                const no = refused.get(one.key)
                const both = theirs?.fields.includes(one.key) && one.key in changes
                const told = faults.get(one.key)
                return (
                  <div key={one.key} className={one.key in changes ? 'file-cell file-changed' : 'file-cell'}>
                    <label htmlFor={`file-${one.key}`}>
                      {fieldLabel(one, t)}
                      {isNeeded(one, point) ? <Needed /> : null}
                    </label>
                    <FileField
                      field={one}
                      id={`file-${one.key}`}
                      value={value}
                      names={names}
                      status={statusOf(no, one.key in changes ? undefined : told)}
                      describedBy={told || no ? `file-${one.key}-told` : undefined}
                      onChange={(next) => put(one.key, next)}
                    />
                    {no ? (
                      <p className="file-no" role="alert" id={`file-${one.key}-told`}>
                        {said(no)}
                      </p>
                    ) : one.key in changes ? null : (
                      <Told faults={told} id={`file-${one.key}-told`} />
                    )}
                    {both ? (
                      <p className="file-theirs">
                        {t('registry:file.theirs', {
                          value: valueText(one, before[one.key] ?? '', names, t) || t('shared:none'),
                        })}{' '}
                        <Button type="link" size="small" onClick={() => put(one.key, before[one.key] ?? '')}>
                          {t('registry:file.take_theirs')}
                        </Button>
                      </p>
                    ) : null}
                  </div>
                )
              })}
            </div>
          </fieldset>
        ))}
      </div>
      <footer className="file-foot">
        <Input
          value={reason}
          maxLength={500}
          aria-label={t('registry:file.reason')}
          placeholder={t('registry:file.reason_hint')}
          onChange={(event) => setReason(event.target.value)}
        />
        <span className="muted">{t('registry:file.changed', { count: many })}</span>
        <Button onClick={onLeave}>{t('shared:cancel')}</Button>
        <Button type="primary" htmlType="submit" disabled={many === 0} loading={save.isPending}>
          {t('shared:save')}
        </Button>
      </footer>
    </form>
  )
}
