import type { LockedUpload } from '../core/ports/locks.ts'
import type { UploadRecord } from '../core/upload.ts'
import type { FoundLease, LeaseMessage, LeaseTable } from './lease-table.ts'

/** The uploads that leases in memory protect. */
export interface ClaimableUploads {
  /** Lets the row take saves with this token only, and reads it. `null`: there is no such upload. */
  claim(id: string, token: string): Promise<LockedUpload | null>
  find(id: string): Promise<UploadRecord | null>
}

/** Leases in the memory of one process. Every locker of the process that is given the table is a node of its own. */
export function memoryLeases(uploads: ClaimableUploads): LeaseTable {
  const leases = new Map<string, { token: string; until: number }>()
  const listeners = new Set<(message: LeaseMessage) => void>()
  const holderOf = (id: string) => {
    const lease = leases.get(id)
    return lease && lease.until > performance.now() ? lease.token : null
  }
  async function find(id: string): Promise<FoundLease<UploadRecord> | null> {
    const upload = await uploads.find(id)
    return upload && { upload, token: leases.get(id)?.token ?? null, isHeld: holderOf(id) !== null }
  }
  return {
    async acquire({ id, token }, leaseMs) {
      const before = leases.get(id)
      if ((holderOf(id) ?? token) !== token) return null
      leases.set(id, { token, until: performance.now() + leaseMs })
      const locked = await uploads.claim(id, token)
      if (!locked) leases.delete(id)
      return locked && { ...locked, isTakeover: before !== undefined && before.token !== token }
    },
    async acquireNew({ id, token }, ms, insert) {
      leases.set(id, { token, until: performance.now() + ms })
      try {
        return await insert({ token, holder: 'this process', ms })
      } catch (error) {
        leases.delete(id)
        throw error
      }
    },
    find,
    read: find,
    async renew(held, leaseMs) {
      const mine = held.filter(({ id, token }) => leases.get(id)?.token === token)
      for (const { id, token } of mine) leases.set(id, { token, until: performance.now() + leaseMs })
      return new Set(mine.map(({ id }) => id))
    },
    async release({ id, token }) {
      if (leases.get(id)?.token === token) leases.delete(id)
    },
    async send(message) {
      for (const onMessage of listeners) onMessage(message)
    },
    async listen(onMessage) {
      listeners.add(onMessage)
    },
  }
}
