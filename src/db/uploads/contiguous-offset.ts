/*
 * The offset of an upload whose parts may arrive in any order. Its row does not count them: the offset is what parts without a gap from the
 * first one, and a tail that follows exactly those, add up to. The parts are counted in the statement that reads the row: the end of an
 * upload removes its parts in the statement that changes its state, so an upload that ended between two reads would look as if it were
 * back at its beginning.
 */
import { tailSize, type UploadFields } from '../../core/upload.ts'

/**
 * SQL that creates the function by which a statement counts the parts of an upload without a gap from the first one: an array of their
 * number and bytes. It reads all parts of the upload. `stable`: it sees what its statement sees. It is a function because Postgres sets
 * up a subquery for every upload that is read, and a function only when it is called: most uploads are sequential. It is created after
 * every migration, because drizzle's migrations have no functions.
 */
export const createLeadingParts = `
  create or replace function landfall_leading_parts(upload uuid) returns jsonb language plpgsql stable as $body$
  begin
    return (select jsonb_build_array(count(*), coalesce(sum(part.size), 0)) from (
        select size, number, row_number() over (order by number) as place
        from upload_parts where upload_id = upload and lock_token is null) as part
      where part.number = part.place);
  end $body$`

/** SQL for the leading parts of upload `s`; null unless its parts may arrive in any order. */
export const leadingParts = `case when s.kind = 'parted' and s.state = 'receiving' then landfall_leading_parts(s.id) end as leading_parts`

/** What `leadingParts` selects. */
export type LeadingParts = [count: number, bytes: number]

/** The offset of an upload, and the tail that counts: one whose place a stored part has taken does not. */
export function contiguous(
  row: Pick<UploadFields, 'offset' | 'tail' | 'prefix' | 'partSize'>,
  [count, bytes]: LeadingParts,
): Pick<UploadFields, 'offset' | 'tail' | 'prefix'> {
  const { offset, tail, prefix, partSize } = row
  const tailNumber = Math.floor((offset - tailSize(row)) / partSize) + 1
  if (count + 1 !== tailNumber) return { offset: bytes, tail: [], prefix: null }
  return { offset: bytes + tailSize(row), tail, prefix }
}
