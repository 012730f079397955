import type { CreationKey, UploadRepository } from '../../core/ports/uploads.ts'
import { namedStatement } from '../named-parameters.ts'
import type { Database } from '../open.ts'

/**
 * SQL for the ids of uploads that earlier creation requests with the same fields may have sent completely while the client never
 * received the answer: completed, finishing, or still held by such a request. Different files may share all of these fields, as the
 * partial uploads of one file do; only their bytes distinguish them. A client that retries does so within the hour.
 */
export const repeatedCreations = `select id from upload_sessions
    where tenant = :tenant and owner_id = :ownerId and is_answer_lost and updated_at > now() - interval '1 hour'
      and (state = 'finishing' or (state = 'completed' and delete_due_at is null) or (state = 'receiving' and lease_until > now()))
      and role = :role and filename = :filename and (:size::bigint is null or size is not distinct from :size)
      and metadata is not distinct from :metadata and fingerprint is not distinct from :fingerprint
      and kind = 'sequential' and is_partial = :isPartial and agent is not distinct from :agent
    order by state <> 'completed', created_at limit 16`

const markAnswerLost = {
  name: 'upload-mark-answer-lost',
  // A lease acquired after the answer belongs to a request that knows the upload. Numbered parts do not move the offset, but the first
  // of them creates the multipart upload.
  text: `update upload_sessions set is_answer_lost = true where id = $1
      and (state = 'cancelled' or state in ('receiving', 'finishing', 'completed') and (multipart_id is null or kind <> 'parted'))
      and ($2::bigint is null or ("offset" = $2 and coalesce(lease_until < now(), true)))`,
}
const clearAnswerLost = {
  name: 'upload-clear-answer-lost',
  text: `update upload_sessions set is_answer_lost = false where id = $1`,
}
const findLostCancellation = {
  name: 'upload-find-lost-cancellation',
  text: `select id from upload_sessions where id = $1 and state = 'cancelled' and is_answer_lost`,
}
const findRepeated = namedStatement<keyof CreationKey>('upload-find-repeated', repeatedCreations)
const findLostCreation = namedStatement<keyof CreationKey>(
  'upload-find-lost-creation',
  `select id, "offset" from upload_sessions
    where tenant = :tenant and owner_id = :ownerId and state = 'receiving' and is_answer_lost
      and (lease_until is null or lease_until < now())
      and role = :role and filename = :filename and size is not distinct from :size and metadata is not distinct from :metadata
      and fingerprint is not distinct from :fingerprint and kind = :kind and is_partial = :isPartial
    order by created_at limit 1`,
)

type LostAnswers = Pick<
  UploadRepository,
  'markAnswerLost' | 'clearAnswerLost' | 'findLostCreation' | 'isCancellationLost' | 'findRepeated'
>

/** Creations and cancellations in `database` whose answers may have been lost. */
export function lostAnswers(database: Database): LostAnswers {
  const parametersOf = (key: CreationKey) => ({ ...key, tenant: key.tenant ?? '' })
  return {
    async markAnswerLost(id, offset) {
      await database.query(markAnswerLost, [id, offset])
    },
    async clearAnswerLost(id) {
      await database.query(clearAnswerLost, [id])
    },
    async findLostCreation(key) {
      const values = findLostCreation.valuesOf(parametersOf(key))
      return (await database.query<{ id: string; offset: number }>(findLostCreation, values))[0] ?? null
    },
    async isCancellationLost(id) {
      return (await database.query(findLostCancellation, [id])).length > 0
    },
    async findRepeated(key) {
      const rows = await database.query<{ id: string }>(findRepeated, findRepeated.valuesOf(parametersOf(key)))
      return rows.map(({ id }) => id)
    },
  }
}
