/**
 * SQL for whether a request is writing to upload `s`, under its lease or a part lock. The state is compared first, so that a list of ended
 * uploads reads no parts. A LIMIT subquery instead of EXISTS: Postgres may answer an EXISTS for all rows at once by scanning the whole table
 * of parts, but looks up a subquery with LIMIT by the index for each row.
 */
export const isBeingWritten = `(s.state in ('receiving', 'finishing') and (coalesce(s.lease_until > now(), false)
  or (select true from upload_parts p where p.upload_id = s.id and p.locked_until > now() limit 1) is true))`
