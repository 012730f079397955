import type { ClientConfig } from '../db/open.ts'
import type { PoolLike } from './options.ts'

// What says how to connect. Time-outs, types and the number of connections are Landfall's own.
const fields = [
  'connectionString',
  'host',
  'port',
  'user',
  'password',
  'database',
  'ssl',
  'options',
  'stream',
] as const satisfies (keyof ClientConfig)[]

/** How the pool of an app connects. `pg` hides the password from copies of the options, so every field is read by its name. */
export function connectionOf({ options }: PoolLike): ClientConfig {
  const given = options as ClientConfig
  return Object.fromEntries(fields.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])))
}
