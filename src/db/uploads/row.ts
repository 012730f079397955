/*
 * The columns of uploads, which are named once: in the table of schema.ts. A field of `UploadRecord` is the column that the table gives
 * its name.
 */
import { getTableColumns } from 'drizzle-orm'
import type { UnmeasuredUpload, UploadFields, UploadKind, UploadRecord, UploadSource } from '../../core/upload.ts'
import { uploadSessions } from '../schema.ts'
import { contiguous, type LeadingParts, leadingParts } from './contiguous-offset.ts'

type Row = typeof uploadSessions.$inferSelect
type Field = keyof Row

/** A row of `upload_sessions` as the driver returns it, by the names of the columns, and what else its statement selects. */
export interface UploadRow {
  id: string
  revision: number
  lease_token: string | null
  [column: string]: unknown
  /** Of statements that read the offset as well; null: the offset is in the row. */
  leading_parts?: LeadingParts | null
  /** Only where a statement selects it: whether a request writes to the upload, under the lease or a part lock. */
  is_being_written?: boolean
}

const columns = Object.entries(getTableColumns(uploadSessions)).map(
  ([field, column]) => [field as Field, column.name, column.getSQLType()] as const,
)

/** What the database keeps for itself, beside the fields of `UploadRecord`. */
export const internalFields = [
  'reserved',
  'isAnswerLost',
  'leaseToken',
  'leaseUntil',
  'leaseHolder',
  'revision',
  'eventSeq',
] as const satisfies Field[]

/** A column in the text of a statement: its name, quoted, and the parameter with its type, which `namedStatement` knows by the field. */
export interface ColumnParameter {
  field: Field
  name: string
  parameter: string
}

/** The columns of all fields but `others`, for statements whose parameters `toParameters` makes. */
export function columnsExcept(others: readonly Field[]): ColumnParameter[] {
  return columns
    .filter(([field]) => !others.includes(field))
    .map(([field, name, type]) => ({ field, name: `"${name}"`, parameter: `:${field}::${type}` }))
}

const sourceFields = ['kind', 'isPartial', 'partials', 'uploadConcat'] as const satisfies Field[]
const commonColumns = columns.filter(
  ([field]) => ![...internalFields, ...sourceFields].some((other) => other === field),
)
type CommonRow = Omit<Row, (typeof internalFields)[number] | (typeof sourceFields)[number]>

const noFields = Object.fromEntries(commonColumns.map(([field]) => [field, null]))

/** The columns that `toUploadRecord` reads, of upload `s`. */
export const recordColumns = `s.*, ${leadingParts}`

/** The upload in a row of `recordColumns`. */
export function toUploadRecord(row: UploadRow): UploadRecord {
  const record = toUnmeasured(row) as UploadRecord
  return row.leading_parts ? Object.assign(record, contiguous(record, row.leading_parts)) : record
}

/** The upload in a row without its offset, for those who do not need it: counting the parts of a large file takes long. */
export function toUnmeasured(row: UploadRow): UnmeasuredUpload {
  // A copy of an object that has all fields already: this runs for every row that is read, and adding them one by one takes longer.
  const fields: Record<string, unknown> = { ...noFields }
  for (const [field, name] of commonColumns) fields[field] = row[name]
  const common = fields as CommonRow
  const record: Omit<UploadFields, 'isBeingWritten'> = Object.assign(common, { tenant: common.tenant || null })
  const isBeingWritten = row.is_being_written
  return Object.assign(
    record,
    sourceOf(row as UploadRow & SourceRow),
    isBeingWritten !== undefined && { isBeingWritten },
  )
}

interface SourceRow {
  kind: UploadKind
  is_partial: boolean
  partials: string[] | null
  upload_concat: string | null
}

// A check of the table holds what is asserted here.
function sourceOf({ kind, is_partial, partials, upload_concat }: SourceRow): UploadSource {
  if (kind !== 'final') return { kind, isPartial: is_partial }
  return { kind, isPartial: false, partials: partials!, uploadConcat: upload_concat! }
}

const jsonFields = new Set<string>(columns.flatMap(([field, , type]) => (type === 'jsonb' ? [field] : [])))

/** The values of `fields` as parameters of their columns, by field. The driver would send an array as one of Postgres, not as JSON. */
export function toParameters<F extends object>(fields: F): { [Name in keyof F]-?: unknown } {
  const values = { ...fields } as Record<string, unknown>
  for (const field of jsonFields) if (values[field]) values[field] = JSON.stringify(values[field])
  return values as { [Name in keyof F]-?: unknown }
}
