/*
 * The file of an upload: its content and its node. Parts of the statement that changes the upload, whose row after the change is `saved`.
 */

/** Makes the file of a completed upload. A partial upload is no file. `state`: a parameter, how the content begins. */
export function makeFile(state: string): string[] {
  return [
    `content as (
      insert into contents (id, tenant, key, size, etag, sha256, crc32, content_type, state, created_at)
      select saved.id, saved.tenant, saved.key, saved.size, saved.etag, decode(saved.digests->'actual'->>'sha-256', 'base64'),
        saved.crc32, saved.content_type, ${state}, saved.completed_at
      from saved where not saved.is_partial)`,
    `node as (
      insert into nodes (id, tenant, owner_id, name, content_id, created_at)
      select saved.id, saved.tenant, saved.owner_id, saved.filename, saved.id, saved.completed_at from saved where not saved.is_partial)`,
  ]
}

/** Makes the steps that follow the completion. `steps`: a parameter, the `NewStep`s as JSON. */
export function makeSteps(steps: string): string {
  return `new_steps as (
      insert into steps (content_id, name, version, is_blocking, state, priority, next_at, created_at)
      select saved.id, step.name, step.version, step."isBlocking", 'waiting', 100, saved.completed_at, saved.completed_at
      from saved, jsonb_to_recordset(${steps}) as step(name text, version int, "isBlocking" boolean) where not saved.is_partial)`
}

/** Trashes the file of an upload that ends, or brings that of a restored upload back. The content keeps its state. */
export const trashOrRestoreFile = `node as (
      update nodes n set trashed_at = case when saved.state = 'completed' then null else now() end
      from saved where n.id = saved.id)`

/** Records that the object of a trashed file was removed. */
export const recordRemoval = `content as (update contents c set state = 'gone' from saved where c.id = saved.id)`
