import { z } from 'zod'
import { count, wait } from '../values.ts'

/** The database. */
export const database = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'expected postgres://…')
    .optional()
    .describe('The URL of the Postgres database. In development an embedded one runs in DATA_DIR/postgres'),
  DATABASE_SCHEMA: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,40}$/, 'expected a name of lower-case letters, digits and underscores')
    .default('public')
    .describe('The schema that holds the tables; it is created. Servers with one schema share their uploads'),
  DATABASE_TIMEOUT: wait(1).prefault('10s').describe('How long a request waits for a database that is not reachable'),
  DATABASE_POOL: count(1, 1000).default(10).describe('The most connections to Postgres that one server opens'),
}
