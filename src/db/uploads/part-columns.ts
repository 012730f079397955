/*
 * The columns of the receipts of parts, which are named once: in the table of schema.ts. A field of `StoredPart` has the name of its
 * column.
 */
import { getTableColumns } from 'drizzle-orm'
import { uploadParts } from '../schema.ts'

const { uploadId, lockToken, lockedUntil, ...receipt } = getTableColumns(uploadParts)
const columns = Object.values(receipt)
const others = columns.filter((column) => column !== receipt.number)

/** A text with every one of `some` columns in it. */
function list(some: typeof columns, item: (name: string, type: string) => string): string {
  return some.map((column) => item(column.name, column.getSQLType())).join(', ')
}

/** The columns of a receipt, in a select or an insert. */
export const receiptColumns = list(columns, (name) => name)

/** A receipt as JSON. */
export const receiptAsJson = `jsonb_build_object(${list(columns, (name) => `'${name}', ${name}`)})`

/** The columns of receipts that come as JSON records `part`, and the definition of those records. */
export const columnsOfPart = list(columns, (name) => `part.${name}`)
export const partDefinition = `part(${list(columns, (name, type) => `${name} ${type}`)})`

/** Sets a row to the receipt that could not be inserted because the row was there. */
export const setToExcluded = list(others, (name) => `${name} = excluded.${name}`)

/** Sets a row to a receipt in parameters, which `namedStatement` knows by its fields. */
export const setToParameters = list(others, (name, type) => `${name} = :${name}::${type}`)
