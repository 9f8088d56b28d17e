import { useQueryClient } from '@tanstack/react-query'
import { Segmented } from 'antd'
import { useEffect, useMemo, useRef } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import type { Finding, FindingCounts, Id } from '../../api/types'
import { paths } from '../../app/paths'
import { useCan } from '../../governance/session'
import { said } from '../../said/said'
import { Act } from '../../shared/Act'
import { DataTable, type Column } from '../../shared/DataTable'
import { Face, Failed, Loading } from '../../shared/Face'
import { ago, count, stamp } from '../../shared/format'
import { useNow } from '../../shared/useNow'
import { Within } from '../files/FilesTab'
import { DivisionSelect } from '../files/FileField'
import { isWalking, passing, useBeginSurvey, useFindingCounts, useFindings, useSurvey } from './queries'
import './findings.css'

const SEVERITIES = ['all', 'error', 'warning'] as const
const STATES = ['open', 'settled', 'all'] as const

interface FindingsTabProps {
  search: URLSearchParams
  put: (values: Record<string, string | null>) => void
  chosen: Id | null
  onOpen: (point: Id, field: string | null) => void
}

/** What is wrong with camera files: how much of it by rule, and each with the way to put it right. */
export function FindingsTab({ search, put, chosen, onOpen }: FindingsTabProps) {
  const { t } = useTranslation()
  const navigate = useNavigate()
  const now = useNow(30_000)
  const rule = search.get('rule')
  const severity = SEVERITIES.find((one) => one === search.get('severity')) ?? 'all'
  const state = STATES.find((one) => one === search.get('state')) ?? 'open'
  const place = { division: search.get('division'), organisation: search.get('organisation') }
  const counts = useFindingCounts(place)
  const found = useFindings({ ...place, rule, state, severity: severity === 'all' ? null : severity })
  const open = (one: Finding) => {
    if (one.point) onOpen(one.point, one.faults[0]?.field ?? null)
    else if (one.organisation) void navigate(paths.map({ organisation: one.organisation.id, list: '1' }))
  }
  const columns = useMemo<Column<Finding>[]>(
    () => [
      {
        key: 'rule',
        title: t('registry:findings.rule'),
        width: 'minmax(150px, 0.9fr)',
        render: (one) => (
          <span className="finding-rule">
            <Severity severity={one.severity} />
            {t(`registry:rule.${one.rule}`, { defaultValue: one.rule })}
          </span>
        ),
      },
      {
        key: 'point',
        title: t('registry:findings.about'),
        width: 'minmax(170px, 1fr)',
        render: (one) => (
          <span className="finding-two" title={one.name ?? one.organisation?.name}>
            <span>{one.name ?? one.organisation?.name ?? '—'}</span>
            <code className="muted">{one.code ?? t('registry:findings.of_unit')}</code>
          </span>
        ),
      },
      {
        key: 'message',
        title: t('registry:findings.message'),
        width: 'minmax(240px, 2.2fr)',
        render: (one) => (
          <span className="finding-two" title={`${said(one.message)}\n${said(one.hint)}`}>
            <span>{said(one.message)}</span>
            <span className="muted">{said(one.hint)}</span>
          </span>
        ),
      },
      {
        key: 'organisation',
        title: t('registry:field.organisation'),
        width: 'minmax(90px, 0.7fr)',
        render: (one) => one.organisation?.name ?? '',
      },
      {
        key: 'since',
        title: t('registry:findings.since'),
        width: '120px',
        render: (one) =>
          one.settled_at === null ? (
            <span title={stamp(one.found_at)}>{ago((now - Date.parse(one.found_at)) / 1000, t)}</span>
          ) : (
            <span title={stamp(one.settled_at)} className="muted">
              {t('registry:findings.settled_at', { age: ago((now - Date.parse(one.settled_at)) / 1000, t) })}
            </span>
          ),
      },
    ],
    [t, now],
  )
  const isNarrowed =
    rule !== null || severity !== 'all' || place.division !== null || place.organisation !== null
  return (
    <div className="findings">
      <Rules
        counts={counts.data}
        error={counts.error}
        retry={() => void counts.refetch()}
        rule={rule}
        onRule={(next) => put({ rule: next })}
      />
      <div className="findings-list">
        <div className="page-bar findings-bar">
          <Segmented
            value={severity}
            aria-label={t('registry:import.severity')}
            onChange={(next) => put({ severity: next === 'all' ? null : next })}
            options={SEVERITIES.map((value) => ({ value, label: t(`registry:findings.severity.${value}`) }))}
          />
          <Segmented
            value={state}
            aria-label={t('registry:findings.state_label')}
            onChange={(next) => put({ state: next === 'open' ? null : next })}
            options={STATES.map((value) => ({ value, label: t(`registry:findings.state.${value}`) }))}
          />
          <Within organisation={place.organisation} onChange={(id) => put({ organisation: id })} />
          <div style={{ width: 190 }}>
            <DivisionSelect
              value={place.division ?? ''}
              placeholder={t('registry:findings.division')}
              onChange={(code) => put({ division: code })}
            />
          </div>
        </div>
        {found.error ? (
          <Failed error={found.error} retry={() => void found.refetch()} />
        ) : found.isPending ? (
          <Loading />
        ) : (
          <div className="page-fill">
            <DataTable
              label={t('registry:findings.title')}
              rows={found.rows}
              columns={columns}
              rowKey={(one) => one.id}
              rowHeight={52}
              selected={found.rows.find((one) => one.point !== null && one.point === chosen)?.id ?? null}
              onOpen={open}
              onEnd={found.onEnd}
              empty={
                <Face
                  kind="empty"
                  text={t(
                    isNarrowed
                      ? 'registry:findings.none_found'
                      : state === 'open'
                        ? 'registry:findings.none'
                        : 'registry:findings.none_ever',
                  )}
                  detail={
                    counts.data?.surveyed_at === null
                      ? t('registry:findings.unsurveyed')
                      : t('registry:findings.lead')
                  }
                />
              }
            />
          </div>
        )}
      </div>
    </div>
  )
}

/** Severity as colour *and* shape. */
export function Severity({ severity }: { severity: Finding['severity'] }) {
  const { t } = useTranslation()
  return (
    <svg
      className={`severity-${severity}`}
      width="11"
      height="11"
      viewBox="0 0 11 11"
      role="img"
      aria-label={t(`registry:findings.severity.${severity}`)}
    >
      {severity === 'error' ? (
        <rect x="1" y="1" width="9" height="9" rx="1.5" fill="currentColor" />
      ) : (
        <path
          d="M5.5 1L10.5 10H.5z"
          fill="none"
          stroke="currentColor"
          strokeWidth="1.4"
          strokeLinejoin="round"
        />
      )}
    </svg>
  )
}

interface RulesProps {
  counts: FindingCounts | undefined
  error: Error | null
  retry: () => void
  rule: string | null
  onRule: (rule: string | null) => void
}

/** How much of what is wrong, and how many files are in order; each line narrows the list. */
function Rules({ counts, error, retry, rule, onRule }: RulesProps) {
  const { t } = useTranslation()
  if (error)
    return (
      <aside className="findings-rules">
        <Failed error={error} retry={retry} />
      </aside>
    )
  if (!counts)
    return (
      <aside className="findings-rules">
        <Loading />
      </aside>
    )
  const all = counts.rules.reduce((sum, one) => sum + one.open, 0)
  const passed = passing(counts)
  return (
    <aside className="findings-rules" aria-label={t('registry:findings.by_rule')}>
      <dl className="findings-pass">
        <dt>{t('registry:findings.pass')}</dt>
        <dd>
          <b>{passed ?? '—'}</b>{' '}
          <span className="muted">
            {passed === null
              ? t('registry:findings.pass_unknown')
              : t('registry:findings.pass_of', {
                  passed: count(counts.points - counts.faulty),
                  all: count(counts.points),
                })}
          </span>
        </dd>
      </dl>
      <SurveyLine surveyedAt={counts.surveyed_at} />
      <ul>
        <li>
          <button type="button" aria-pressed={rule === null} onClick={() => onRule(null)}>
            <span />
            <span>{t('registry:findings.all_rules')}</span>
            <b>{count(all)}</b>
          </button>
        </li>
        {counts.rules.map((one) => (
          <li key={one.rule}>
            <button
              type="button"
              aria-pressed={rule === one.rule}
              className={one.open === 0 ? 'findings-clean' : undefined}
              title={`${one.rule} · ${said(one.hint)}`}
              onClick={() => onRule(rule === one.rule ? null : one.rule)}
            >
              <Severity severity={one.severity} />
              <span>{t(`registry:rule.${one.rule}`, { defaultValue: one.title })}</span>
              <b>{count(one.open)}</b>
            </button>
          </li>
        ))}
      </ul>
    </aside>
  )
}

/** When all files were last looked through, how far that is, and the button that has it done now. */
function SurveyLine({ surveyedAt }: { surveyedAt: string | null }) {
  const { t } = useTranslation()
  const can = useCan()
  const client = useQueryClient()
  const now = useNow(10_000)
  const survey = useSurvey(can.edit_points)
  const begin = useBeginSurvey()
  const walking = isWalking(survey.data)
  const was = useRef(false)
  useEffect(() => {
    if (was.current && !walking) void client.invalidateQueries({ queryKey: ['findings'] })
    was.current = walking
  }, [walking, client])
  const { done = 0, total = 0 } = survey.data ?? {}
  return (
    <div className="findings-survey">
      <span role="status" className="muted">
        {walking
          ? t('registry:findings.walking', { done: count(done), total: count(total) })
          : surveyedAt === null
            ? t('registry:findings.unsurveyed')
            : t('registry:findings.surveyed', { age: ago((now - Date.parse(surveyedAt)) / 1000, t) })}
      </span>
      <Act
        size="small"
        loading={walking || begin.isPending}
        reason={can.edit_points ? null : t('shared:not_allowed')}
        run={() => begin.mutate()}
      >
        {t('registry:findings.survey')}
      </Act>
    </div>
  )
}
