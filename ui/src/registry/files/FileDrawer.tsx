import { Drawer } from 'antd'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import type { Finding, Id, PointDetail, Twin } from '../../api/types'
import { paths } from '../../app/paths'
import { said } from '../../said/said'
import { Copyable } from '../../shared/Copyable'
import { Face, Failed, Loading } from '../../shared/Face'
import { StateMark } from '../../shared/StateMark'
import { useSure } from '../../shared/useSure'
import { useLiveState } from '../liveState'
import { usePoint } from '../queries'
import { CameraFile } from './CameraFile'
import { useFileFields } from './fields'
import { useFaults } from './queries'
import { Versions } from './Versions'
import './files.css'

interface FileDrawerProps {
  point: Id | null
  field: string | null
  onOpen: (point: Id, field: string | null) => void
  onClose: () => void
}

/** The camera file (一机一档) of a point: its fields, what is wrong with them, and what they were. */
export function FileDrawer({ point, field, onOpen, onClose }: FileDrawerProps) {
  const { t } = useTranslation()
  const sure = useSure()
  const found = usePoint(point)
  const fields = useFileFields()
  const faults = useFaults(point ?? '', point !== null)
  const dirty = useRef(false)
  const mark = useCallback((isDirty: boolean) => {
    dirty.current = isDirty
  }, [])
  /** Goes, but not without a word where something is not saved. */
  const away = (go: () => void) => {
    const leave = () => {
      dirty.current = false
      go()
    }
    if (!dirty.current) return leave()
    sure({
      title: t('registry:file.leave_title'),
      text: t('registry:file.leave_text'),
      ok: t('registry:file.leave'),
      run: leave,
    })
  }
  const one = point === null ? undefined : found.data
  const error = found.error ?? fields.error ?? faults.error
  return (
    <Drawer
      open={point !== null}
      onClose={() => away(onClose)}
      size="min(960px, 68%)"
      mask={false}
      getContainer={false}
      rootStyle={{ position: 'absolute' }}
      styles={{
        header: { padding: '0 16px', height: 48, flex: 'none' },
        body: { display: 'flex', flexDirection: 'column', padding: 0, overflow: 'hidden' },
      }}
      destroyOnHidden
      title={one?.name ?? t('registry:file.title')}
      extra={one ? <Standing point={one} /> : null}
    >
      {one && fields.data && faults.data ? (
        <Known
          key={`${one.id} ${field ?? ''}`}
          point={one}
          fields={fields.data}
          findings={faults.data}
          field={field}
          onDirty={mark}
          onTwin={(twin) => away(() => onOpen(twin, 'code'))}
        />
      ) : error ? (
        <Failed
          error={error}
          retry={() => {
            void found.refetch()
            void fields.refetch()
            void faults.refetch()
          }}
        />
      ) : (
        <Loading />
      )}
    </Drawer>
  )
}

function Standing({ point }: { point: PointDetail }) {
  const { t } = useTranslation()
  const state = useLiveState(point.id, point.state)
  return (
    <span className="file-standing">
      <Copyable text={point.code} />
      <StateMark state={state} label />
      <Link to={paths.map({ point: point.id })}>{t('registry:file.on_map')}</Link>
    </span>
  )
}

interface KnownProps {
  point: PointDetail
  fields: NonNullable<ReturnType<typeof useFileFields>['data']>
  findings: readonly Finding[]
  field: string | null
  onDirty: (isDirty: boolean) => void
  onTwin: (point: Id) => void
}

function Known({ point, fields, findings, field, onDirty, onTwin }: KnownProps) {
  const { t } = useTranslation()
  const [tab, setTab] = useState<'file' | 'findings' | 'versions'>('file')
  const twins = findings.find((one) => one.rule === 'DQ03')?.twins ?? []
  useEffect(() => () => onDirty(false), [onDirty])
  const tabs = {
    file: t('registry:act.file'),
    findings: (
      <>
        {t('registry:findings.title')}{' '}
        <span className={findings.length > 0 ? 'figure figure-wait' : 'figure'}>{findings.length}</span>
      </>
    ),
    versions: t('registry:versions.title'),
  }
  return (
    <>
      <div role="tablist" aria-label={point.name} className="page-tabs file-tabs">
        {Object.entries(tabs).map(([key, label]) => (
          <button
            key={key}
            type="button"
            role="tab"
            aria-selected={key === tab}
            onClick={() => setTab(key as keyof typeof tabs)}
          >
            {label}
          </button>
        ))}
      </div>
      <div className="file-scroll" role="tabpanel">
        {/* stays, so that what was typed is still there on coming back */}
        <div hidden={tab !== 'file'}>
          {twins.length > 0 ? <Twins twins={twins} here={point.id} onOpen={onTwin} /> : null}
          <CameraFile point={point} fields={fields} findings={findings} field={field} onDirty={onDirty} />
        </div>
        {tab === 'findings' ? <Faults findings={findings} /> : null}
        {tab === 'versions' ? <Versions point={point.id} /> : null}
      </div>
    </>
  )
}

function Faults({ findings }: { findings: readonly Finding[] }) {
  const { t } = useTranslation()
  if (findings.length === 0)
    return <Face kind="empty" text={t('registry:findings.none_here')} detail={t('registry:findings.lead')} />
  return (
    <ul className="file-findings">
      {findings.map((one) => (
        <li key={one.id} className={`fault-${one.severity}`}>
          <b>{t(`registry:rule.${one.rule}`, { defaultValue: one.rule })}</b> <code>{one.rule}</code>
          <p>{said(one.message)}</p>
          <p className="muted">{said(one.hint)}</p>
        </li>
      ))}
    </ul>
  )
}

interface TwinsProps {
  twins: readonly Twin[]
  here: Id
  onOpen: (point: Id) => void
}

const ROWS = ['organisation', 'address', 'device', 'channel', 'lifecycle'] as const

/** Points with the same code side by side: what tells them apart is what one must know to mend one of them. */
export function Twins({ twins, here, onOpen }: TwinsProps) {
  const { t } = useTranslation()
  const told = (twin: Twin, row: (typeof ROWS)[number]) => {
    switch (row) {
      case 'organisation':
        return twin.organisation?.name
      case 'address':
        return twin.address
      case 'device':
        return twin.device_id
      case 'channel':
        return twin.channel_id
      case 'lifecycle':
        return t(`registry:choice.lifecycle.${twin.lifecycle}`)
    }
  }
  return (
    <section className="twins" aria-label={t('registry:twins.title')}>
      <h3>{t('registry:twins.title')}</h3>
      <div className="twins-scroll">
        <table>
          <thead>
            <tr>
              <td />
              {twins.map((twin) => (
                <th key={twin.id} scope="col">
                  <StateMark state={twin.state} />{' '}
                  {twin.id === here ? (
                    <b>{t('registry:twins.this', { name: twin.name })}</b>
                  ) : (
                    <button type="button" className="link twins-open" onClick={() => onOpen(twin.id)}>
                      {twin.name}
                    </button>
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {ROWS.map((row) => {
              const values = twins.map((twin) => told(twin, row) ?? '')
              const differs = new Set(values).size > 1
              return (
                <tr key={row} className={differs ? 'twins-differ' : undefined}>
                  <th scope="row">{t(`registry:twins.${row}`)}</th>
                  {values.map((value, n) => (
                    <td key={twins[n]?.id}>{value || <span className="muted">—</span>}</td>
                  ))}
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
    </section>
  )
}
