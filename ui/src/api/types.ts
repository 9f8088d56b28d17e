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
export type PointOwners = Schemas['OwnersDto']

export type EvidenceKind = 'registration' | 'keepalive' | 'catalogue' | 'packet' | 'picture' | 'recording'
export type EvidenceItem = Exactly<Schemas['EvidenceItemDto'], { kind: EvidenceKind }>
export type Evidence = Exactly<Schemas['EvidenceDto'], { state: PointState; items: EvidenceItem[] }>

export type StateSpan = Exactly<Schemas['anwang__registry__http__SpanDto'], { state: PointState }>
export type History = Exactly<Schemas['HistoryDto'], { spans: StateSpan[] }>
export type OnlineDay = Schemas['OnlineDayDto']
export type Online = Schemas['OnlineDto']
export type OrganisationNode = Schemas['NodeDto']
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
  /** The counts, or nothing: then they are to be read. */
  counts: Partial<Counts>
  device: { waiting: number }
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
export type Hold = Schemas['HoldDto']
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
