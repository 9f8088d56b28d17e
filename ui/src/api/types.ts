/**
 * The shapes of `/api/v1` by the names used here. They come from `schema.ts`, which `make gen` makes from the server's
 * own description; `Exactly` only narrows texts to the words that are possible, and fails to compile where the server
 * has no such field. Times are RFC 3339 in Z; coordinates are WGS-84 degrees; ids are UUID strings.
 */
import type { components } from './schema'

type Schemas = components['schemas']
type Exactly<T, Narrower extends { [K in keyof Narrower]: K extends keyof T ? T[K] : never }> = Omit<
  T,
  keyof Narrower
> &
  Narrower

export type Id = string
export type Time = string

export type PointKind = 'camera' | 'checkpoint' | 'alarm_point' | 'sensor' | 'watchtower'
export type PointClass = 1 | 2 | 3 | 4 | 9
export type PointState = 'online' | 'offline' | 'unknown'
export type StreamName = Schemas['Stream']

export interface Page<T> {
  items: T[]
  next: string | null
}

export type ErrorBody = Schemas['ErrorDto']
export type Named = Schemas['NamedDto']

// --- session ---------------------------------------------------------------------------------------------

/** One field per action a role may do somewhere in its scope. */
export type Abilities = Schemas['AbilitiesDto']
export type Session = Schemas['CurrentSessionDto']
export type SessionCreated = Schemas['OpenedDto']
export type SetupState = Schemas['SetupStateDto']

/** Why one looks, and the second person's word. */
export type PurposeKind = Schemas['PurposeKind']
export type Purpose = Schemas['PurposeDto']
export type PurposeDraft = Required<Schemas['NewPurposeDto']>
export type ApprovalState = Schemas['ApprovalState']
export type Approval = Schemas['ApprovalDto']
export type ApprovalDraft = Schemas['NewApprovalDto']
export type Decision = Schemas['DecisionDto']
export type Action = Schemas['Action']
export type Mask = Schemas['MaskDto']
export type Masks = Schemas['MasksDto']
export type MasksDraft = Schemas['MasksChangeDto']
/** What is owed under Regulation 799. */
export type Regime = Schemas['Regime']
export type FilingState = Schemas['FilingState']
export type Filing = Schemas['FilingDto']
export type FilingChange = Schemas['ChangeDto']
export type VideoSystem = Schemas['SystemDto']
export type VideoSystemDraft = Schemas['NewSystemDto']
export type VideoSystemEdit = Schemas['ChangedSystemDto']
export type FilingForm = Schemas['FormDto']
export type Receipt = Schemas['ReceiptDto']
export type Sign = Schemas['SignDto']
export type SignDraft = Schemas['NewSignDto']
export type Brought = Schemas['RequestDto']
export type BroughtDraft = Schemas['NewRequestDto']
export type Asker = Schemas['AskerDto']
export type RequestAct = Schemas['RequestAct']
export type RequestState = Schemas['RequestState']
export type RefusalReason = Schemas['Refusal']
export type SignEdit = Schemas['ChangedSignDto']
/** What the supervisor sees: a month in numbers, what is unusual of an account, breaches of personal information. */
export type OversightMonth = Schemas['OversightDto']
export type OversightCell = Schemas['CellDto']
export type AnomalyRule = Schemas['AnomalyRule']
export type AnomalyState = Schemas['AnomalyState']
export type Anomaly = Schemas['AnomalyDto']
export type AnomalyDetail = Schemas['EvidencedAnomalyDto']
export type AnomalyVerdict = Schemas['AnomalyVerdictDto']
export type BreachKind = Schemas['BreachKind']
export type BreachState = Schemas['BreachState']
export type BreachStep = Schemas['BreachStep']
export type Breach = Schemas['BreachDto']
export type BreachDraft = Schemas['NewBreachDto']
export type BreachEdit = Schemas['ChangedBreachDto']
export type BreachStepDraft = Schemas['BreachStepDto']
export type BreachExtent = Schemas['BreachExtentDto']
export type LedgerRow = Schemas['LedgerRowDto']
export type Ledger = Schemas['LedgerDto']

// --- registry --------------------------------------------------------------------------------------------

interface PointWords {
  kind: PointKind
  class: PointClass
  state: PointState
  streams: StreamName[]
}

export type OrganisationRef = Schemas['OrgDto']
export type Point = Exactly<Schemas['PointDto'], PointWords>
export type PointDetail = Exactly<Schemas['PointDetailDto'], PointWords>

/** Where a point is, as [longitude, latitude]; null: nobody has said. */
export const placeOf = ({ longitude, latitude }: Pick<Point, 'longitude' | 'latitude'>) =>
  longitude === null || latitude === null ? null : ([longitude, latitude] as [number, number])

export type FileField = Schemas['FieldDto']
/** How a field of the camera file is filled in, and what each generation of the standard writes. */
export type FileEntry = Schemas['FileFieldDto']
export type FileForm = Schemas['Form']
export type FileEdit = Schemas['EditDto']
export type FileVersion = Schemas['VersionDto']
export type Lifecycle = 'planned' | 'in_use' | 'repair' | 'removed'
/** What is wrong with files. */
export type Twin = Exactly<Schemas['TwinDto'], { state: PointState; lifecycle: Lifecycle }>
export type Finding = Exactly<Schemas['FindingDto'], { twins: Twin[] }>
export type FindingCounts = Schemas['FindingCountsDto']
export type RuleCount = Schemas['RuleCountDto']
export type Survey = Schemas['SurveyDto']
export type PointOwners = Schemas['OwnersDto']

export type EvidenceKind = 'registration' | 'keepalive' | 'catalogue' | 'packet' | 'picture' | 'recording'
export type EvidenceItem = Exactly<Schemas['EvidenceItemDto'], { kind: EvidenceKind }>
export type Evidence = Exactly<Schemas['EvidenceDto'], { state: PointState; items: EvidenceItem[] }>

export type StateSpan = Exactly<Schemas['anwang__registry__http__SpanDto'], { state: PointState }>
export type History = Exactly<Schemas['HistoryDto'], { spans: StateSpan[] }>
export type OnlineDay = Schemas['OnlineDayDto']
export type Online = Schemas['OnlineDto']
export type OrganisationNode = Schemas['NodeDto']
export type Organisation = Schemas['OrgDetailDto']
export type OrganisationKind = Schemas['OrgKind']
export type OrganisationDraft = Schemas['NewOrgDto']
export type OrganisationEdit = Partial<Schemas['ChangedOrgDto']>
export type Channel = Exactly<Schemas['ChannelDto'], { state: PointState | null }>
export type Division = Schemas['DivisionDto']
export type StateCounts = Schemas['TallyDto']
export type Counts = Exactly<
  Schemas['CountsDto'],
  {
    kinds: Partial<Record<PointKind, StateCounts>>
    classes: Partial<Record<`${PointClass}`, StateCounts>>
  }
>

export type StateChange = [point: Id, state: PointState, at: Time]
/**
 * What changed after a cursor; without one, where things stand. `reset`: the cursor is too old, everything shown must
 * be read anew; `truncated`: there is more than was sent.
 */
export type States = Exactly<Schemas['StatesDto'], { changes: StateChange[] }>
/** Points that tell where they are, and where they did so last. */
export type Moving = Exactly<Schemas['MovingDto'], { kind: PointKind; class: PointClass; state: PointState }>
export type Positions = Exactly<Schemas['PositionsDto'], { items: Moving[] }>
export type Move = [point: Id, longitude: number, latitude: number, direction: number | null, at: Time]
export type MapSettings = Schemas['MapDto']
/** What the server found; pages are found here, by their names. */
export type SearchHit = Exactly<Schemas['HitDto'], { state: PointState | null }>
export type SearchItem = SearchHit | (Omit<SearchHit, 'type'> & { type: 'page' })

// --- events ----------------------------------------------------------------------------------------------

export type NoteLevel = 'info' | 'ok' | 'warn' | 'bad'

export interface Note {
  level: NoteLevel
  /** Text key under the `notes` namespace, for example `points_offline`. */
  text: string
  params: Record<string, string | number>
  cause: string | null
  at: Time
}

/** An import moved; ask for it. */
export interface JobMoved {
  import: Id
}

export interface PlayEvent {
  id: Id
  point: Id
  step: string
  at: Time
}

/** What arrives on `GET /events`, by event type. */
export interface EventMap {
  /** `many`: so many changed that they are not named; ask by cursor. */
  state: { changes: StateChange[]; cursor?: string; many?: number }
  /** Points were at another place; `many`: so many that they are not named. */
  position: { changes: Move[]; many?: number }
  /** The counts, or nothing: then they are to be read. */
  counts: Partial<Counts>
  device: { waiting: number }
  /** A device is set otherwise, or as it should be again: the lists are to be read. */
  drift: Record<string, never>
  job: JobMoved
  points: { added: number; changed: number; removed: number }
  /** Who moves a camera's head has changed; null: nobody does any more. */
  ptz: { point: Id; holder: Named | null }
  /** Events were lost: what is shown must be read anew. */
  lagged: { count: number }
  play: PlayEvent
  note: Note
}

// --- devices ---------------------------------------------------------------------------------------------

export type DeviceStatus = Schemas['DeviceStatus']
export type DevicePolicies = Exactly<
  Schemas['PoliciesDto'],
  { transport: 'tcp-passive' | 'tcp-active' | 'udp'; charset: 'auto' | 'gb18030' | 'utf-8' }
>

interface DeviceWords {
  status: DeviceStatus
  state: PointState
  policies: DevicePolicies
}

export type Device = Exactly<Schemas['DeviceDto'], DeviceWords>
export type DeviceDetail = Exactly<Schemas['DeviceDetailDto'], DeviceWords & { evidence: Evidence }>
export type Refusal = Schemas['RefusalDto']

/** What devices say of their settings, and where that is not what they should say. */
export type DriftState = 'open' | 'closed'
export type Drift = Schemas['DriftDto']
export type Drifts = Schemas['DriftsDto']
export type Configuration = Schemas['ConfigurationDto']

/** A signalling message as it passed, from an event stream, which the description does not cover. */
export interface SipMessage {
  at: Time
  outgoing: boolean
  transport: string
  local: string
  remote: string
  text: string
}

// --- import ----------------------------------------------------------------------------------------------

export type ImportStatus =
  'staged' | 'validating' | 'ready' | 'failed' | 'publishing' | 'published' | 'cancelled'
export type ImportKind = Schemas['ImportKind']
export type ImportFault = Schemas['FaultDto']
export type ImportPreviewRow = Exactly<
  Schemas['PreviewRowDto'],
  { change: 'added' | 'changed' | 'unchanged' }
>
export type ImportJob = Exactly<
  Schemas['ImportDto'],
  {
    kind: ImportKind
    status: ImportStatus
    preview: Exactly<Schemas['PreviewDto'], { rows: ImportPreviewRow[] }> | null
  }
>

// --- system ----------------------------------------------------------------------------------------------

export type Role = Schemas['Role']
export type User = Schemas['UserDto']
export type UserDraft = Schemas['NewUserDto']
export type UserEdit = Schemas['ChangeUserDto']
export type Ways = Schemas['WaysDto']
export type OpenSession = Schemas['SessionDto']
export type TokenDraft = Schemas['NewTokenDto']
export type Agreement = Schemas['AgreementDto']
export type AgreementDraft = Schemas['NewAgreementDto']
export type AgreementEdit = Schemas['ChangedAgreementDto']
export type AgreementState = Schemas['AgreementState']
export type AgreementStep = Schemas['AgreementStep']
export type AgreementStepDraft = Schemas['AgreementStepDto']
export type Assessment = Schemas['AssessmentDto']
export type AssessmentDraft = Schemas['NewAssessmentDto']
export type AssessmentEdit = Schemas['ChangedAssessmentDto']
export type AssessmentApprovalDraft = Schemas['ApproveAssessmentDto']
export type Review = Schemas['Review']
export type Shareable = Schemas['ShareablesDto']
export type PartnerAccounts = Schemas['PartnerAccountsDto']
export type Grant = Schemas['GrantDto']
export type GrantDraft = Schemas['NewGrantDto']
export type Rights = Schemas['RightsDto']
export type Reach = Schemas['ReachDto']
export type Answer = Schemas['AnswerDto']
export type Health = Schemas['HealthDto']
export type Setting = Schemas['SettingDto']
export type SettingGroup = Schemas['SettingGroupDto']
export type SettingsTree = Schemas['SettingsDto']

/** How a camera by address is reached. */
export type RtspSource = Exactly<Schemas['RtspShownDto'], { transport: 'tcp' | 'udp' }>

// --- media -----------------------------------------------------------------------------------------------

export type Layout = Schemas['LayoutDto']
export type NewLayout = Schemas['NewLayoutDto']
export type Tour = Schemas['TourDto']
export type NewTour = Schemas['NewTourDto']

export type PlayStep = Schemas['PlayStepDto']
export type PlayMessage = Schemas['PlayMessageDto']
export type PlaySummary = Exactly<Schemas['PlaySummaryDto'], { outcome: 'playing' | 'stopped' | 'failed' }>
export type PlayTrace = Exactly<Schemas['PlayDto'], { outcome: 'playing' | 'stopped' | 'failed' }>

export type Span = Schemas['anwang__media__http__recordings__SpanDto']
export type Gap = Schemas['GapDto']
export type Mark = Schemas['EventDto']
export type Plan = Schemas['PlanDto']
export type PlanDraft = Schemas['NewPlanDto']
export type PlanEdit = Schemas['ChangePlanDto']
/** On the time axis. */
export type Hold = Schemas['HoldDto']
/** In the list: whose it is, too. */
export type Kept = Schemas['KeptDto']
export type HoldDraft = Schemas['NewHoldDto']
export type RetentionReport = Schemas['RetentionReportDto']
export type RetentionFinding = Schemas['RetentionFindingDto']
export type FindingKind = Schemas['FindingKind']
export type DeletionProof = Schemas['ProofDto']
export type WholeDeletionProof = Schemas['WholeProofDto']
export type Deleted = Schemas['EarlyDeletionDto']
export type ExportJob = Schemas['ExportDto']
export type ExportDraft = Schemas['NewExportDto']
export type ExportForm = Schemas['ExportForm']
/** device: what the device itself has recorded; put there by the page. */
export type AxisRow = Schemas['AxisDto'] & { device?: readonly DeviceRecord[] }
export type Timeline = Schemas['TimelineDto']
export type RecordedDay = Schemas['DayDto']

/** A file on a device, clipped to what was asked for. kind: time, alarm, manual, or the device's own word. */
export interface DeviceRecord {
  start: Time
  end: Time
  name: string
  kind: string
  size_bytes: number | null
  place: string
}

export interface DeviceRecords {
  items: DeviceRecord[]
  next: string | null
  answered: 'complete' | 'partial' | 'silent'
  announced: number
  unusable: number
  asked_until: Time
}

export interface Cruise {
  track: number
  name: string
  stops: { preset: number; stay_s: number | null; speed: number | null }[]
}

export interface Cruises {
  items: Cruise[]
  /** False: the device can't tell them; they can be started by number even so. */
  listed: boolean
  reason: string
}

export interface CruiseOrder {
  act: 'start' | 'stop' | 'add' | 'remove' | 'clear' | 'speed' | 'dwell'
  track: number
  preset?: number
  value?: number
}

export interface HomePosition {
  known: boolean
  is_on: boolean
  reset_s: number | null
  preset: number | null
  reason: string
}

/** Who moves a camera's head, and whether one may. */
export type Head = Schemas['HeadDto']
export type Preset = Schemas['PresetDto']
export type PtzAct = Schemas['Ptz']
export type PtzCommand = Schemas['PtzDto']
