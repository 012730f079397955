/** Where a statement has the words of a creation: the text of a parameter each. */
export interface AskedIn {
  tenant: string
  ownerId: string
  role: string
  filename: string
  size: string
  metadata: string
  fingerprint: string
  isPartial: string
  agent: string
}

/**
 * A query for the ids of the uploads that earlier requests with the same words may have made whole, without their client having heard of
 * them: complete, about to be, or still held by that request. Two files that are alike in all of this may be two all the same; only their
 * bytes tell, as of the partial uploads of one file. A client that tries again does so within the hour.
 */
export function repeatedBy(asked: AskedIn): string {
  const { tenant, ownerId, role, filename, size, metadata, fingerprint, isPartial, agent } = asked
  return `select id from upload_sessions
    where tenant = ${tenant} and owner_id = ${ownerId} and is_answer_lost and updated_at > now() - interval '1 hour'
      and (state = 'finishing' or (state = 'completed' and delete_due_at is null) or (state = 'receiving' and lease_until > now()))
      and role = ${role} and filename = ${filename} and (${size}::bigint is null or size is not distinct from ${size})
      and metadata is not distinct from ${metadata} and fingerprint is not distinct from ${fingerprint}
      and (concat->>'kind' is not distinct from 'partial') = ${isPartial} and concat->>'kind' is distinct from 'final'
      and agent is not distinct from ${agent} and not has_numbered_parts
    order by state <> 'completed', created_at limit 16`
}
