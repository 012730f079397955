import type { CreationKey, UploadRepository } from '../../core/ports/uploads.ts'
import { isHeld, isOwnedBy, type Row, type Rows } from './rows.ts'

const hourMs = 3600_000
const mostRepeated = 16

type LostAnswers = Pick<
  UploadRepository,
  'markAnswerLost' | 'clearAnswerLost' | 'findLostCreation' | 'isCancellationLost' | 'findRepeated'
>

/** Creations and cancellations whose answers may have been lost. */
export function lostAnswers(rows: Rows): LostAnswers {
  return {
    async markAnswerLost(id, offset) {
      const row = rows.uploads.get(id)
      if (!row) return
      const { state, kind, multipartId, offset: at } = row.record
      // Numbered parts do not move the offset, but the first of them creates the multipart upload.
      const isUntouched = ['receiving', 'finishing', 'completed'].includes(state) && (!multipartId || kind !== 'parted')
      const isAtOffset = offset === null || (at === offset && !isHeld(row.lease))
      if ((state === 'cancelled' || isUntouched) && isAtOffset) row.isAnswerLost = true
    },
    async clearAnswerLost(id) {
      const row = rows.uploads.get(id)
      if (row) row.isAnswerLost = false
    },
    async isCancellationLost(id) {
      const row = rows.uploads.get(id)
      return row !== undefined && row.record.state === 'cancelled' && row.isAnswerLost
    },
    async findLostCreation(key) {
      const [oldest] = equalCreations(rows, key)
        .filter(({ record, lease }) => record.state === 'receiving' && record.kind === key.kind && !isHeld(lease))
        .filter(({ record }) => record.size === key.size)
        .toSorted(byAge)
      return oldest ? { id: oldest.record.id, offset: oldest.record.offset } : null
    },
    findRepeated: async (key) => findRepeated(rows, key),
  }
}

/** The ids of uploads that equal creations of the last hour made whole, or are about to. */
export function findRepeated(rows: Rows, key: CreationKey): string[] {
  return equalCreations(rows, key)
    .filter(({ record }) => record.kind === 'sequential' && record.agent === key.agent)
    .filter(({ record }) => key.size === null || record.size === key.size)
    .filter(({ record }) => record.updatedAt.getTime() > Date.now() - hourMs)
    .filter(isWholeSoon)
    .toSorted((a, b) => Number(!isComplete(a)) - Number(!isComplete(b)) || byAge(a, b))
    .slice(0, mostRepeated)
    .map(({ record }) => record.id)
}

function equalCreations({ uploads }: Rows, key: CreationKey): Row[] {
  const fields = ['role', 'filename', 'metadata', 'fingerprint', 'isPartial'] as const
  return [...uploads.values()].filter(
    (row) => row.isAnswerLost && isOwnedBy(row, key) && fields.every((field) => row.record[field] === key[field]),
  )
}

function isWholeSoon({ record: { state, deleteDueAt }, lease }: Row): boolean {
  if (state === 'completed') return deleteDueAt === null
  return state === 'finishing' || (state === 'receiving' && isHeld(lease))
}

function isComplete({ record }: Row): boolean {
  return record.state === 'completed'
}

function byAge(a: Row, b: Row): number {
  return a.record.createdAt.getTime() - b.record.createdAt.getTime()
}
