import { Progress, Select, Steps } from 'antd'
import { useRef, useState, type DragEvent } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import type { Id, ImportFault, ImportJob, ImportKind, ImportPreviewRow } from '../../api/types'
import { paths } from '../../app/paths'
import { useCan } from '../../governance/session'
import { Act } from '../../shared/Act'
import { DataTable, type Column } from '../../shared/DataTable'
import { Face, Failed, Loading } from '../../shared/Face'
import { count } from '../../shared/format'
import { useSure } from '../../shared/useSure'
import { isWorking, useCancel, useImport, usePublish, useStartImport } from './queries'
import { said } from '../../said/said'
import './imports.css'

/** A file of points: drop, check, see what would change, publish. The job lives in the address, so one may leave. */
export function ImportWizard({ id, onJob }: { id: Id | null; onJob: (id: Id | null) => void }) {
  const job = useImport(id)
  if (id === null) return <Drop onJob={onJob} />
  if (job.error) return <Failed error={job.error} retry={() => onJob(null)} />
  if (!job.data) return <Loading />
  return <Running job={job.data} onAgain={() => onJob(null)} />
}

const KINDS: readonly ImportKind[] = [
  'points',
  'organisations',
  'divisions',
  'roads',
  'grounds',
  'water',
  'places',
  'restricted',
]

function Drop({ onJob }: { onJob: (id: Id) => void }) {
  const { t } = useTranslation()
  const can = useCan()
  const input = useRef<HTMLInputElement>(null)
  const [over, setOver] = useState(false)
  const [kind, setKind] = useState<ImportKind>('points')
  const start = useStartImport(onJob)
  const take = (file: File | undefined) => {
    if (file) start.mutate({ file, kind })
  }
  const drop = (event: DragEvent) => {
    event.preventDefault()
    setOver(false)
    if (can.import_points) take(event.dataTransfer.files[0])
  }
  return (
    <div className="page-scroll">
      <label className="import-kind">
        {t('registry:import.kind')}
        <Select<ImportKind>
          value={kind}
          onChange={setKind}
          style={{ width: 160 }}
          options={KINDS.map((value) => ({ value, label: t(`registry:import.kinds.${value}`) }))}
        />
      </label>
      <section
        className={over ? 'drop drop-over' : 'drop'}
        aria-label={t('registry:import.title')}
        onDragOver={(event) => {
          event.preventDefault()
          setOver(can.import_points)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <Face
          kind={can.import_points ? 'empty' : 'forbidden'}
          text={can.import_points ? t('registry:import.drop') : t('registry:import.denied')}
          detail={
            !can.import_points
              ? t('shared:face.ask_admin')
              : kind === 'points'
                ? t('registry:import.columns')
                : t('registry:import.columns_geo')
          }
          action={
            <Act
              type="primary"
              loading={start.isPending}
              reason={can.import_points ? null : t('shared:not_allowed')}
              run={() => input.current?.click()}
            >
              {t('registry:import.choose')}
            </Act>
          }
        />
        <input
          ref={input}
          type="file"
          accept=".csv,.xlsx,.json,.geojson,text/csv,application/geo+json,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
          hidden
          onChange={(event) => {
            take(event.target.files?.[0])
            event.target.value = ''
          }}
        />
      </section>
    </div>
  )
}

const STEP: Record<ImportJob['status'], number> = {
  staged: 0,
  validating: 0,
  failed: 1,
  ready: 1,
  publishing: 2,
  published: 3,
  cancelled: 0,
}

function Running({ job, onAgain }: { job: ImportJob; onAgain: () => void }) {
  const { t } = useTranslation()
  const sure = useSure()
  const [part, setPart] = useState<'faults' | 'preview' | null>(null)
  const publish = usePublish(job.id)
  const cancel = useCancel(job.id, onAgain)
  const shown = part ?? (job.fault_count > 0 ? 'faults' : 'preview')
  const working = isWorking(job.status)
  const percent = job.rows > 0 ? Math.floor((job.done / job.rows) * 100) : 0
  const changes = (job.preview?.added ?? 0) + (job.preview?.changed ?? 0)
  const settled = job.status === 'ready' || job.status === 'failed'
  return (
    <div className="import">
      <Steps
        size="small"
        current={STEP[job.status]}
        status={job.status === 'failed' ? 'error' : 'process'}
        items={[
          { title: t('registry:import.step.check') },
          { title: t('registry:import.step.review') },
          { title: t('registry:import.step.publish') },
        ]}
      />
      {working ? (
        <div className="import-progress" role="status">
          <Progress percent={job.status === 'publishing' ? 100 : percent} status="active" showInfo={false} />
          <p>
            {job.status === 'publishing'
              ? t('registry:import.publishing')
              : t('registry:import.checking', { done: count(job.done), rows: count(job.rows) })}
          </p>
        </div>
      ) : null}
      {job.status === 'published' ? (
        <Face
          kind="empty"
          text={t('registry:import.published', {
            added: count(job.preview?.added ?? 0),
            changed: count(job.preview?.changed ?? 0),
          })}
          detail={job.skipped > 0 ? t('registry:import.skipped', { n: count(job.skipped) }) : null}
          action={
            <span className="row-acts">
              <Link to={paths.map()}>{t('registry:import.to_map')}</Link>
              <Act run={onAgain}>{t('registry:import.again')}</Act>
            </span>
          }
        />
      ) : null}
      {job.status === 'cancelled' ? (
        <Face
          kind="empty"
          text={t('registry:import.cancelled')}
          action={<Act run={onAgain}>{t('registry:import.again')}</Act>}
        />
      ) : null}
      {settled ? (
        <>
          <div className="import-sum">
            <p role="status">
              {job.reason
                ? t('registry:import.unreadable', { reason: said(job.reason) })
                : job.status === 'failed'
                  ? t('registry:import.failed', {
                      count: job.fault_count,
                      n: count(job.fault_count),
                      rows: count(job.rows),
                    })
                  : t('registry:import.ready', { rows: count(job.rows) })}
            </p>
            <div role="tablist" className="import-tabs">
              <button
                type="button"
                role="tab"
                aria-selected={shown === 'faults'}
                onClick={() => setPart('faults')}
              >
                {t('registry:import.faults')} <span className="figure">{count(job.fault_count)}</span>
              </button>
              <button
                type="button"
                role="tab"
                aria-selected={shown === 'preview'}
                onClick={() => setPart('preview')}
              >
                {t('registry:import.preview')}{' '}
                <span className="figure">
                  +{count(job.preview?.added ?? 0)} ~{count(job.preview?.changed ?? 0)} =
                  {count(job.preview?.unchanged ?? 0)}
                </span>
              </button>
            </div>
            <span className="row-acts">
              <Act run={() => cancel.mutate(undefined)}>{t('registry:import.cancel')}</Act>
              {job.status === 'failed' && !job.reason && changes > 0 ? (
                <Act
                  run={() =>
                    sure({
                      title: t('registry:import.publish_rest_title'),
                      text: t('registry:import.publish_rest_text'),
                      ok: t('registry:import.publish_rest'),
                      danger: false,
                      run: () => publish.mutate(true),
                    })
                  }
                >
                  {t('registry:import.publish_rest')}
                </Act>
              ) : null}
              <Act
                type="primary"
                loading={publish.isPending}
                reason={
                  job.status === 'failed'
                    ? t('registry:import.mend_first')
                    : changes === 0
                      ? t('registry:import.no_change')
                      : null
                }
                run={() => publish.mutate(false)}
              >
                {t('registry:import.publish')}
              </Act>
            </span>
          </div>
          <div className="page-fill">
            {shown === 'faults' ? <Faults job={job} /> : <Preview rows={job.preview?.rows ?? []} />}
          </div>
          {shown === 'faults' && job.faults.length < job.fault_count ? (
            <p className="import-cut">
              {t('registry:import.cut', { n: count(job.faults.length), all: count(job.fault_count) })}
            </p>
          ) : null}
        </>
      ) : null}
    </div>
  )
}

function Faults({ job }: { job: ImportJob }) {
  const { t } = useTranslation()
  const columns: Column<ImportFault>[] = [
    {
      key: 'row',
      title: t('registry:import.row'),
      width: '80px',
      align: 'end',
      render: (fault) => count(fault.row),
    },
    {
      key: 'column',
      title: t('registry:import.column'),
      width: '140px',
      render: (fault) => <code>{fault.column}</code>,
    },
    {
      key: 'value',
      title: t('registry:import.value'),
      width: 'minmax(160px, 1fr)',
      render: (fault) =>
        fault.value === '' ? (
          <span className="muted">{t('registry:import.blank')}</span>
        ) : (
          <code>{fault.value}</code>
        ),
    },
    {
      key: 'severity',
      title: t('registry:import.severity'),
      width: '90px',
      render: (fault) => (
        <span className={`fault-${fault.severity}`}>
          {fault.severity === 'error' ? '■' : '▲'} {t(`registry:import.severities.${fault.severity}`)}
        </span>
      ),
    },
    {
      key: 'message',
      title: t('registry:import.message'),
      width: 'minmax(240px, 2fr)',
      render: (fault) => said(fault.message),
    },
    {
      key: 'rule',
      title: t('registry:import.rule'),
      width: '170px',
      render: (fault) => <code className="muted">{fault.rule}</code>,
    },
  ]
  return (
    <DataTable
      label={t('registry:import.faults')}
      rows={job.faults}
      columns={columns}
      rowKey={(fault) => `${fault.row}/${fault.column}/${fault.rule}`}
      empty={<Face kind="empty" text={t('registry:import.no_faults')} />}
    />
  )
}

const SIGN = { added: '+', changed: '~', unchanged: '=' }

function Preview({ rows }: { rows: readonly ImportPreviewRow[] }) {
  const { t } = useTranslation()
  const columns: Column<ImportPreviewRow>[] = [
    {
      key: 'row',
      title: t('registry:import.row'),
      width: '80px',
      align: 'end',
      render: (row) => count(row.row),
    },
    {
      key: 'change',
      title: t('registry:import.change'),
      width: '110px',
      render: (row) => (
        <span className={`change-${row.change}`}>
          {SIGN[row.change]} {t(`registry:import.changes.${row.change}`)}
        </span>
      ),
    },
    { key: 'code', title: t('registry:card.code'), width: '200px', render: (row) => <code>{row.code}</code> },
    { key: 'name', title: t('registry:import.name'), width: 'minmax(180px, 1fr)', render: (row) => row.name },
    {
      key: 'fields',
      title: t('registry:import.fields'),
      width: 'minmax(140px, 1fr)',
      render: (row) => row.fields.join(', '),
    },
  ]
  return (
    <DataTable
      label={t('registry:import.preview')}
      rows={rows}
      columns={columns}
      rowKey={(row) => String(row.row)}
      empty={<Face kind="empty" text={t('registry:import.no_rows')} />}
    />
  )
}
