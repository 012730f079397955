/** The fields of a creation request as SQL expressions of a statement, such as its parameters. */
export interface CreationExpressions {
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
 * SQL for the ids of uploads that earlier creation requests with the same fields may have sent completely while the client never
 * received the answer: completed, finishing, or still held by such a request. Different files may share all of these fields, as the
 * partial uploads of one file do; only their bytes distinguish them. A client that retries does so within the hour.
 */
export function repeatedBy(expressions: CreationExpressions): string {
  const { tenant, ownerId, role, filename, size, metadata, fingerprint, isPartial, agent } = expressions
  return `select id from upload_sessions
    where tenant = ${tenant} and owner_id = ${ownerId} and is_answer_lost and updated_at > now() - interval '1 hour'
      and (state = 'finishing' or (state = 'completed' and delete_due_at is null) or (state = 'receiving' and lease_until > now()))
      and role = ${role} and filename = ${filename} and (${size}::bigint is null or size is not distinct from ${size})
      and metadata is not distinct from ${metadata} and fingerprint is not distinct from ${fingerprint}
      and kind = 'sequential' and is_partial = ${isPartial} and agent is not distinct from ${agent}
    order by state <> 'completed', created_at limit 16`
}
