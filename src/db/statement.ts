export type Row = Record<string, unknown>

/** A prepared statement: by its name Postgres plans it once per connection. */
export interface Statement {
  name: string
  text: string
}
