import { newContentState } from '../../core/content.ts'
import { type Fence, fixedFields, type UploadPatch, type UploadRepository } from '../../core/ports/uploads.ts'
import type { UploadRecord } from '../../core/upload.ts'
import { type NamedStatement, namedStatement } from '../named-parameters.ts'
import type { Database } from '../open.ts'
import { returnReservation, type Settlement, settlementOf, settleUsage, usageGroup } from '../usage.ts'
import { makeFile, makeSteps, recordRemoval, trashOrRestoreFile } from './files.ts'
import { columnsOfPart, partDefinition, receiptColumns, setToExcluded } from './part-columns.ts'
import { columnsExcept, internalFields, toParameters } from './row.ts'

const saved = columnsExcept([...fixedFields, ...internalFields, 'updatedAt'])
// The bit of a field in `:given`, which says what the patch has. Doubles hold 53 bits, and `int` would hold 31.
const bits = new Map<string, number>(saved.map(({ field }, at) => [field, 2 ** at]))
// A column keeps its value unless the patch has its field; null sets null.
const assignments = saved.map(
  ({ field, name, parameter }) =>
    `${name} = case when :given::bigint & ${bits.get(field)} <> 0 then ${parameter} else s.${name} end`,
)

/**
 * What a save does beside the row. `complete` and `end` settle the usage, and write the event and the audit entry; `complete` makes the
 * file, `complete-steps` also the steps that follow, `end` trashes or restores it; `remove` records that its object is gone.
 */
type Ending = 'open' | 'complete' | 'complete-steps' | 'end' | 'remove'

/**
 * The statement by which a lock holder saves: the upload row, its parts, its event, its owner's usage and the audit entry, all or none.
 * It matches only while the row still has the holder's token and the revision that the holder last wrote or read. Postgres sets up every
 * part of a statement each time, also one that changes no row, so a statement has only the parts that its patch needs.
 */
function saveStatement(ending: Ending, isFinal: boolean, hasParts: boolean): NamedStatement<Parameter> {
  const settles = ending !== 'open' && ending !== 'remove'
  const update = `update upload_sessions s set
        ${assignments.join(',\n        ')},
        ${!settles ? '' : 'event_seq = s.event_seq + case when :eventType::text is null then 0 else 1 end,'}
        lease_token = case when :release::boolean then null else s.lease_token end,
        lease_until = case when :release::boolean then null else s.lease_until end,
        lease_holder = case when :release::boolean then s.lease_token::text else s.lease_holder end,
        revision = s.revision + 1,
        updated_at = now()
      where s.id = :id and s.lease_token = :token and s.revision = :revision`
  const others = [
    ...(settles ? settle(isFinal) : []),
    ...(hasParts ? changeParts : []),
    ...(settles ? finish : []),
    ...changeFile[ending],
  ]
  const name = ['upload-save', ending !== 'open' && ending, settles && isFinal && 'final', hasParts && 'parts']
    .filter(Boolean)
    .join('-')
  const text =
    others.length === 0
      ? `${update} returning s.id`
      : `with saved as (${update} returning s.*),\n    ${others.join(',\n    ')}\n    select id from saved`
  return namedStatement(name, text)
}

const changeParts = [
  `added_parts as (
      insert into upload_parts (upload_id, ${receiptColumns})
      select saved.id, ${columnsOfPart}
      from saved, jsonb_to_recordset(:parts::jsonb) as ${partDefinition}
      on conflict (upload_id, number) do update set ${setToExcluded}, lock_token = null, locked_until = null)`,
  'removed_parts as (delete from upload_parts using saved where upload_id = saved.id and number = any(:forget::int[]))',
]

const settlement = ':settlement::text'

function settle(isFinal: boolean): string[] {
  const settled = `settled as (${settleUsage(settlement, { returnsReservations: isFinal })})`
  return isFinal ? [`returned as (${returnReservation(settlement)})`, settled] : [settled]
}

const finish = [
  `cleared_parts as (
      delete from upload_parts using saved where upload_id = saved.id and saved.state not in ('receiving', 'finishing'))`,
  `events as (
      insert into upload_events (upload_id, seq, type, data)
      select saved.id, saved.event_seq, :eventType::text, :eventData::jsonb from saved where :eventType::text is not null)`,
  `audited as (
      insert into audit_log (action, is_allowed, actor, role, tenant, key_id, upload_id, address, agent, note)
      select 'upload.' || case when ${settlement} = 'restored' then 'restore' else case saved.state when 'completed' then 'complete' when 'cancelled' then 'cancel' when 'expired' then 'expire' else 'fail' end end,
        true, :actor::text, :role::text, coalesce(:tenant::text, case when :actor::text is null then saved.tenant else '' end), :keyId::text, saved.id, :address::text, :agent::text, saved.failure
      from saved where ${settlement} is not null)`,
]

const changeFile: Record<Ending, string[]> = {
  open: [],
  complete: makeFile("'live'"),
  'complete-steps': [...makeFile(':content::text'), makeSteps(':steps::jsonb')],
  end: [trashOrRestoreFile],
  remove: [recordRemoval],
}

// Only the end of a final upload has to look up partial uploads.
const statements = new Map(
  (['open', 'complete', 'complete-steps', 'end', 'remove'] as const).flatMap((ending) =>
    [true, false].flatMap((isFinal) =>
      [true, false].map((hasParts) => {
        const statement = saveStatement(ending, isFinal, hasParts)
        return [statementKey(ending, isFinal, hasParts), statement] as const
      }),
    ),
  ),
)

function statementKey(ending: Ending, isFinal: boolean, hasParts: boolean): string {
  return `${ending} ${isFinal} ${hasParts}`
}

const findLastSave = {
  name: 'upload-last-save',
  text: `select revision, lease_token, lease_holder from upload_sessions where id = $1`,
}

interface LastSaveRow {
  revision: number
  lease_token: string | null
  /** The node that holds the lease; after a save that released it, the token of that save. */
  lease_holder: string | null
}

/** The function that saves what lock holders change in `database`. */
export function uploadSaver(database: Database): UploadRepository['save'] {
  return async (upload, fence, patch) => {
    const { token, revision } = fence
    const settlement = settlementOf(upload.state, patch)
    const statement = statementFor(upload, patch, settlement)
    const values = statement.valuesOf(parametersOf(upload.id, fence, patch, settlement))
    // Only the end of an upload changes the usage of its owner.
    const group = settlement === null ? undefined : usageGroup(upload)
    const rows = await database.queryOnce(statement, values, group)
    if (rows) return rows.length > 0
    // The answer was lost. When the repeat matches no row, the row shows whether the first run was ours.
    if ((await database.query(statement, values)).length > 0) return true
    const [row] = await database.query<LastSaveRow>(findLastSave, [upload.id])
    // revision + 1 alone proves nothing: the next holder may also have written once. Only our token in the row proves it was us.
    const lastToken = patch.release ? row?.lease_holder : row?.lease_token
    return row !== undefined && row.revision === revision + 1 && lastToken === token
  }
}

/** The statement that saves `patch`. */
function statementFor({ kind }: UploadRecord, patch: UploadPatch, settlement: Settlement | null) {
  const { parts = [], forget = [] } = patch
  const key = statementKey(endingOf(patch, settlement), kind === 'final', parts.length + forget.length > 0)
  return statements.get(key)!
}

function endingOf({ event, deleteDueAt, steps = [] }: UploadPatch, settlement: Settlement | null): Ending {
  if (settlement === 'stored') return steps.length > 0 ? 'complete-steps' : 'complete'
  if (settlement !== null || event !== undefined) return 'end'
  return deleteDueAt === null ? 'remove' : 'open'
}

type Parameter = keyof ReturnType<typeof parametersOf>

/** The parameters of all statements: a field of the patch has the name of its column's. */
function parametersOf(id: string, { token, revision }: Fence, patch: UploadPatch, settlement: Settlement | null) {
  const { parts = [], forget = [], event, release = false, by, steps = [], ...columns } = patch
  let given = 0
  for (const [field, value] of Object.entries(columns)) if (value !== undefined) given += bits.get(field) ?? 0
  return {
    ...toParameters(columns),
    given,
    id,
    token,
    revision,
    parts: JSON.stringify(parts),
    forget,
    release,
    eventType: event?.type ?? null,
    eventData: event ? JSON.stringify(event.data) : null,
    settlement,
    content: newContentState(steps),
    steps: JSON.stringify(steps),
    actor: by?.id,
    role: by?.role,
    tenant: by?.tenant,
    keyId: by?.keyId,
    address: by?.client?.address,
    agent: by?.client?.agent,
  }
}
