/*
 * The offset of an upload whose parts may arrive in any order. Its row does not count them: the offset is what parts without a gap from the
 * first one, and a tail that follows exactly those, add up to. The parts are counted in the statement that reads the row: the end of an
 * upload removes its parts in the statement that changes its state, so an upload that ended between two reads would look as if it were
 * back at its beginning.
 */
import { tailSize, type UploadFields } from '../../core/upload.ts'

/**
 * SQL for the parts without a gap from the first one of upload `s`, as an array of their number and bytes; null unless its parts may arrive
 * in any order. It reads all parts of the upload.
 */
export const leadingParts = `case when s.kind = 'parted' and s.state = 'receiving' then (
    select jsonb_build_array(count(*), coalesce(sum(part.size), 0)) from (
      select size, number, row_number() over (order by number) as place
      from upload_parts where upload_id = s.id and lock_token is null) as part
    where part.number = part.place) end as leading_parts`

/** What `leadingParts` selects. */
export type LeadingParts = [count: number, bytes: number] | null

/** The offset of an upload, and the tail that counts: one whose place a stored part has taken does not. */
export function contiguous(
  row: Pick<UploadFields, 'offset' | 'tail' | 'prefix' | 'partSize'>,
  leading: LeadingParts,
): Pick<UploadFields, 'offset' | 'tail' | 'prefix'> {
  const { offset, tail, prefix, partSize } = row
  if (leading === null) return { offset, tail, prefix }
  const [count, bytes] = leading
  const tailNumber = Math.floor((offset - tailSize(row)) / partSize) + 1
  if (count + 1 !== tailNumber) return { offset: bytes, tail: [], prefix: null }
  return { offset: bytes + tailSize(row), tail, prefix }
}
