import type { Database } from '../../src/db/open.ts'

/** Removes what tests before this one left, also what is kept for the record. */
export async function emptyDatabase(database: Database): Promise<void> {
  await database.executeSql(`begin; set local landfall.retention = 'on';
    delete from audit_log; delete from audit_seals; delete from audit_checkpoint; delete from policy_versions; delete from upload_usage; delete from upload_sessions; commit`)
}
