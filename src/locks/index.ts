import type { Locker } from '../core/ports/locks.ts'
import type { Database } from '../db/open.ts'
import { createLocker, type LockerOptions } from './locker.ts'
import { postgresLeases } from './postgres.ts'

/** The kinds of locks that servers share, and how the table of each is opened. */
const kinds = {
  postgres: ({ database }: { database: Database }) => postgresLeases(database),
}

export type LockKind = keyof typeof kinds

/** The locker of a server. */
export function openLocker(
  { database, ...options }: LockerOptions & { database: Database },
  kind: LockKind = 'postgres',
): Promise<Locker> {
  return createLocker(kinds[kind]({ database }), options)
}
