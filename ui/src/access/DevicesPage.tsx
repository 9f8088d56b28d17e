import { useCallback, useDeferredValue, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useCan } from '../governance/session'
import { ExportMenu } from '../registry/ExportMenu'
import { FileDrawer } from '../registry/files/FileDrawer'
import { FilesTab } from '../registry/files/FilesTab'
import { FindingsTab } from '../registry/findings/FindingsTab'
import { useFindingCounts } from '../registry/findings/queries'
import { ImportWizard } from '../registry/imports/ImportWizard'
import { Act } from '../shared/Act'
import { count } from '../shared/format'
import { PageHead } from '../shared/PageHead'
import { SearchInput } from '../shared/SearchInput'
import { useAddress } from '../shared/useAddress'
import { useWaitingDevices } from '../shell/counts'
import { AddDevice } from './AddDevice'
import { AdoptedList } from './AdoptedList'
import { DeviceDrawer } from './DeviceDrawer'
import { DriftList } from './DriftList'
import { useOpenDrifts } from './drifts'
import { RefusalList } from './RefusalList'
import { WaitingList } from './WaitingList'

const TABS = ['waiting', 'adopted', 'drift', 'files', 'findings', 'import', 'refusals'] as const
type Tab = (typeof TABS)[number]
/** What one list is narrowed by says nothing to another. */
const NO_FILTERS = Object.fromEntries(
  [
    'q',
    'state',
    'rule',
    'severity',
    'division',
    'organisation',
    'class',
    'lifecycle',
    'device',
    'part',
    'file',
    'field',
  ].map((name) => [name, null]),
)

/** Devices that ask to come in, those that are in, those turned away; points with their files, and what is wrong there. */
export function Component() {
  const { t } = useTranslation()
  const can = useCan()
  const [search, , put] = useAddress()
  const waiting = useWaitingDevices()
  const drifts = useOpenDrifts()
  const wrong = useFindingCounts({ division: null, organisation: null })
  const findings = wrong.data?.rules.reduce((sum, one) => sum + one.open, 0) ?? 0
  const [adding, setAdding] = useState(false)
  const asked = TABS.find((name) => name === search.get('tab'))
  const tab: Tab = asked ?? (waiting > 0 ? 'waiting' : 'adopted')
  const q = search.get('q') ?? ''
  const query = useDeferredValue(q)
  const open = useCallback(
    (device: string | null, part: string | null = null) => put({ device, part, file: null, field: null }),
    [put],
  )
  const openFile = (file: string | null, field: string | null = null) => put({ file, field, device: null })
  return (
    <div className="pane">
      <PageHead
        title={t('access:title')}
        tab={tab}
        onTab={(next) => put({ tab: next, ...NO_FILTERS })}
        tabs={[
          {
            key: 'waiting',
            label: (
              <>
                {t('access:tab.waiting')}{' '}
                <span className={waiting > 0 ? 'figure figure-wait' : 'figure'}>{waiting}</span>
              </>
            ),
          },
          { key: 'adopted', label: t('access:tab.adopted') },
          {
            key: 'drift',
            label: (
              <>
                {t('access:tab.drift')}{' '}
                <span className={drifts > 0 ? 'figure figure-wait' : 'figure'}>{drifts}</span>
              </>
            ),
          },
          { key: 'files', label: t('registry:files.title') },
          {
            key: 'findings',
            label: (
              <>
                {t('registry:findings.title')}{' '}
                <span className={findings > 0 ? 'figure figure-wait' : 'figure'}>{count(findings)}</span>
              </>
            ),
          },
          { key: 'import', label: t('access:tab.import') },
          { key: 'refusals', label: t('access:tab.refusals') },
        ]}
      >
        {tab === 'waiting' || tab === 'adopted' ? (
          <Search key={tab} text={q} onText={(text) => put({ q: text })} />
        ) : null}
        <Act type="primary" reason={can.adopt ? null : t('shared:not_allowed')} run={() => setAdding(true)}>
          {t('access:add.open')}
        </Act>
        <ExportMenu />
      </PageHead>
      {tab === 'waiting' ? <WaitingList q={query} chosen={search.get('device')} onOpen={open} /> : null}
      {tab === 'adopted' ? <AdoptedList q={query} chosen={search.get('device')} onOpen={open} /> : null}
      {tab === 'drift' ? (
        <DriftList
          state={search.get('state')}
          onState={(state) => put({ state })}
          chosen={search.get('device')}
          onOpen={open}
        />
      ) : null}
      {tab === 'files' ? (
        <FilesTab search={search} put={put} chosen={search.get('file')} onOpen={openFile} />
      ) : null}
      {tab === 'findings' ? (
        <FindingsTab search={search} put={put} chosen={search.get('file')} onOpen={openFile} />
      ) : null}
      {tab === 'import' ? (
        <ImportWizard id={search.get('import')} onJob={(id) => put({ import: id, tab: 'import' })} />
      ) : null}
      {tab === 'refusals' ? <RefusalList /> : null}
      {adding ? (
        <AddDevice
          onClose={() => setAdding(false)}
          onAdded={(device) => {
            setAdding(false)
            put({ tab: 'adopted', q: null, device })
          }}
        />
      ) : null}
      <FileDrawer
        point={search.get('file')}
        field={search.get('field')}
        onOpen={openFile}
        onClose={() => openFile(null)}
      />
      <DeviceDrawer id={search.get('device')} onClose={() => open(null)} />
    </div>
  )
}

/** Keeps what is typed itself: the address follows a moment later. */
function Search({ text, onText }: { text: string; onText: (text: string) => void }) {
  const { t } = useTranslation()
  const [typed, setTyped] = useState(text)
  return (
    <SearchInput
      style={{ width: 280 }}
      placeholder={t('access:search')}
      value={typed}
      onChange={(event) => {
        setTyped(event.target.value)
        onText(event.target.value)
      }}
    />
  )
}
