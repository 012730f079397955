import type { Database } from '../../src/db/open.ts'

/** Removes the rows of earlier tests, also those of append-only tables. */
export async function emptyDatabase(database: Database): Promise<void> {
  await database.executeSql(`begin; set local landfall.retention = 'on';
    delete from audit_log; delete from audit_seals; delete from audit_checkpoint; delete from policy_versions; delete from upload_usage; delete from upload_sessions; commit`)
}
