/*
 * The lock of one upload, for any number of processes.
 *
 * A lease is three columns of the upload's row: a token, an expiry, and the name of the node that holds it (or, after a save that
 * released it, the token of that save). Acquiring is one UPDATE that matches only while the lease is free. Every save requires
 * `lease_token` to be the holder's token, so a holder that was taken over writes nothing, however late it wakes. One statement renews
 * all leases of a process by a timer. No connection is held while bytes flow.
 *
 * A request that wants the lease asks the holder to release it: by AbortSignal in the same process, by NOTIFY in another. The holder
 * saves what it has and releases. The lease of a holder that died expires.
 */
import { randomUUID } from 'node:crypto'
import type { UploadError } from '../core/errors/error.ts'
import { errors } from '../core/errors/errors.ts'
import { OrphanLedger } from '../core/orphan-ledger.ts'
import type { Lease, Locker } from '../core/ports/locks.ts'
import type { UploadPatch } from '../core/ports/uploads.ts'
import { hasEnded, type UploadRecord } from '../core/upload.ts'
import type { Database } from '../db/open.ts'
import { toUploadRecord, type UploadRow } from '../db/upload-row.ts'
import { shrinkReservation } from '../db/usage.ts'
import { applyChange, saveFor, saveValues } from './save.ts'

export interface LeaseOptions {
  database: Database
  /** How long a lease is valid unless renewed, and so how long a dead holder blocks an upload. */
  leaseMs: number
  /** How long `withLock` waits for the holder to release. */
  waitMs: number
  onError(error: unknown): void
  /** Called when an expired lease was acquired, that is, one whose holder never released it. */
  onTakeover?(id: string): void
}

export interface LeaseLocker extends Locker {
  /** Leases held by this process. */
  held(): number
  close(): Promise<void>
}

const acquireLease = {
  name: 'lease-acquire',
  // An expired lease was never released, so its holder may have left objects that no row records: hence needs_cleanup. A row with
  // our own token was acquired by an earlier run of this statement whose answer was lost.
  text: `update upload_sessions s set lease_token = $2, lease_until = now() + $3 * interval '1 millisecond', lease_holder = $4,
      is_answer_lost = s.is_answer_lost and s.state <> 'receiving',
      needs_cleanup = s.needs_cleanup or (s.lease_until is not null and s.lease_token is distinct from $2)
    from (select lease_until, lease_token from upload_sessions where id = $1) before
    where s.id = $1 and (s.lease_until is null or s.lease_until < now() or s.lease_token = $2)
    returning s.*, coalesce(before.lease_until < now() and before.lease_token <> $2, false) as is_takeover`,
}
const findLease = {
  name: 'lease-find',
  text: `select *, coalesce(lease_until >= now(), false) as is_held from upload_sessions where id = $1`,
}
const renewLeases = {
  name: 'lease-renew',
  text: `update upload_sessions s set lease_until = now() + $3 * interval '1 millisecond'
    from unnest($1::uuid[], $2::uuid[]) as held(id, token)
    where s.id = held.id and s.lease_token = held.token
    returning s.id`,
}
const releaseLease = {
  name: 'lease-release',
  // With $3 also when another holder has taken over: the orphans may be newer than the last clean-up of the upload.
  text: `update upload_sessions set lease_token = nullif(lease_token, $2), needs_cleanup = needs_cleanup or $3,
      updated_at = case when $3 then now() else updated_at end,
      lease_until = case when lease_token = $2 then null else lease_until end
    where id = $1 and (lease_token = $2 or $3)`,
}
const notify = { name: 'lease-notify', text: `select pg_notify($1, $2)` }
const channel = 'landfall_lease'

interface LeaseRow extends UploadRow {
  lease_token: string | null
  /** The node that holds the lease; after a save that released it, the token of that save. */
  lease_holder: string | null
}

interface HeldLease {
  id: string
  token: string
  stop: AbortController
  /** Until then the lease is certainly ours, by the monotonic clock of this process. 0: not acquired yet. */
  validUntil: number
  isReleased: boolean
  /** Set once the row was read. */
  ledger: OrphanLedger | null
  /** Whether a request on another node waits for the release. */
  isAwaited: boolean
  ended: Promise<void>
}

/** The locker of the uploads in `database`. */
export async function leaseLocker({
  database,
  leaseMs,
  waitMs,
  onError,
  onTakeover,
}: LeaseOptions): Promise<LeaseLocker> {
  const node = randomUUID()
  const held = new Map<string, HeldLease>()
  /** The leases that requests of this process wait for. */
  const awaited = new Map<string, Set<HeldLease>>()
  const waiting = new Map<string, Set<() => void>>()

  await database.listen(channel, (payload) => {
    const [verb, id = ''] = payload.split(' ')
    if (verb === 'ask') askLocalHolder(id)
    else for (const wake of waiting.get(id) ?? []) wake()
  })

  const timer = setInterval(() => void renew([...held.values()]).catch(onError), leaseMs / 3)
  timer.unref()

  function askLocalHolder(id: string) {
    const lease = held.get(id)
    if (!lease) return
    lease.isAwaited = true
    lease.stop.abort('asked')
  }

  async function renew(leases: HeldLease[]): Promise<void> {
    const live = leases.filter((lease) => !lease.isReleased)
    if (live.length === 0) return
    const validUntil = performance.now() + leaseMs
    const rows = await database.query<{ id: string }>(renewLeases, [
      live.map((lease) => lease.id),
      live.map((lease) => lease.token),
      leaseMs,
    ])
    const renewed = new Set(rows.map((row) => row.id))
    for (const lease of live) {
      if (renewed.has(lease.id)) lease.validUntil = validUntil
      else if (!lease.isReleased) lease.stop.abort('lost')
    }
  }

  async function withLock<T>(
    id: string,
    authorizeOwner: (upload: UploadRecord) => void,
    work: (lease: Lease) => Promise<T>,
  ): Promise<T> {
    const token = randomUUID()
    let markEnded = () => {}
    const lease: HeldLease = {
      id,
      token,
      stop: new AbortController(),
      validUntil: 0,
      isReleased: false,
      ledger: null,
      isAwaited: false,
      ended: new Promise((resolve) => {
        markEnded = resolve
      }),
    }
    const row = await acquireInTurn(lease, authorizeOwner)
    held.set(id, lease)
    try {
      const upload = toUploadRecord(row)
      authorizeOwner(upload)
      return await work(openLease(lease, upload, row.revision))
    } finally {
      await release(lease)
      if (held.get(id) === lease) held.delete(id)
      markEnded()
    }
  }

  /** Acquires the lease, and meanwhile lets `waitForRelease` see that it is awaited. */
  async function acquireInTurn(lease: HeldLease, authorizeOwner: (upload: UploadRecord) => void): Promise<UploadRow> {
    const others = awaited.get(lease.id) ?? new Set()
    awaited.set(lease.id, others.add(lease))
    try {
      const { row, validUntil } = await acquire(lease.id, lease.token, authorizeOwner)
      lease.validUntil = validUntil
      return row
    } finally {
      others.delete(lease)
      if (others.size === 0) awaited.delete(lease.id)
    }
  }

  /** Acquires the lease as soon as it is free. @throws UploadError UPLOAD_LOCKED after `waitMs`, UPLOAD_NOT_FOUND */
  async function acquire(
    id: string,
    token: string,
    authorizeOwner: (upload: UploadRecord) => void,
  ): Promise<{ row: UploadRow; validUntil: number }> {
    const until = performance.now() + waitMs
    let pauseMs = 20
    let notifiedToken: string | null = null
    for (;;) {
      const localLease = held.get(id)
      if (!localLease) {
        const validUntil = performance.now() + leaseMs
        const [row] = await database.query<UploadRow>(acquireLease, [id, token, leaseMs, node])
        if (row) {
          if (row.is_takeover) onTakeover?.(id)
          return { row, validUntil }
        }
      }
      const [found] = await database.query<LeaseRow>(findLease, [id])
      if (!found) throw errors.uploadNotFound()
      authorizeOwner(toUploadRecord(found))
      const left = until - performance.now()
      if (left <= 0) throw errors.uploadLocked()
      if (localLease) {
        askLocalHolder(id)
        await Promise.race([localLease.ended, sleep(left)])
        continue
      }
      const freed = releaseSignal(id)
      // Each holder is notified once. Another waiting request may have acquired the lease since, and is then the next holder to ask.
      if (found.lease_token !== notifiedToken) await database.query(notify, [channel, `ask ${id}`])
      notifiedToken = found.lease_token
      await Promise.race([freed.promise, sleep(Math.min(pauseMs, left))])
      freed.unsubscribe()
      pauseMs = Math.min(250, pauseMs * 1.5)
    }
  }

  async function release(lease: HeldLease): Promise<void> {
    if (!lease.isReleased) {
      lease.isReleased = true
      // A lease that cannot be released expires.
      await database.query(releaseLease, [lease.id, lease.token, lease.ledger?.isEmpty === false]).catch(onError)
    }
    if (lease.isAwaited) await database.query(notify, [channel, `free ${lease.id}`]).catch(onError)
  }

  function openLease(lease: HeldLease, upload: UploadRecord, firstRevision: number): Lease {
    const ledger = new OrphanLedger(upload)
    lease.ledger = ledger
    let revision = firstRevision
    let lastSave: Promise<unknown> = Promise.resolve()
    return {
      upload,
      signal: lease.stop.signal,
      ledger,
      // Saves run one after another: of two with the same revision the second would fail as if another holder had written.
      save(patch: UploadPatch) {
        const saving = lastSave.then(() => ledger.saving(patch, () => saveNow(patch)))
        lastSave = saving.catch(() => {})
        return saving
      },
      async confirm() {
        if (performance.now() < lease.validUntil) return
        await renew([lease])
        if (lease.stop.signal.aborted && lease.stop.signal.reason === 'lost') throw lost(lease)
      },
    }

    async function saveNow(patch: UploadPatch): Promise<void> {
      const change: UploadPatch =
        patch.release && ledger.hasEntriesAfter(patch) ? { ...patch, needsCleanup: true } : patch
      const values = saveValues(upload, lease.token, revision, change)
      let saved = await database.queryOnce<{ id: string }>(saveFor(upload, change), values)
      if (saved === undefined) saved = await retrySave(values, change)
      if (saved.length === 0) throw lost(lease)
      revision += 1
      if (change.release) lease.isReleased = true
      const wasUnknown = upload.size === null
      applyChange(upload, change)
      // A statement of its own, because it is rare. If it fails, the reservation is corrected when the upload ends.
      if (wasUnknown && upload.size !== null && !hasEnded(upload))
        await shrinkReservation(database, upload).catch(onError)
    }

    /** Repeats a save whose answer was lost; when the repeat matches no row, the row shows whether the first run was ours. */
    async function retrySave(values: unknown[], change: UploadPatch): Promise<{ id: string }[]> {
      const saved = await database.query<{ id: string }>(saveFor(upload, change), values)
      if (saved.length > 0) return saved
      const [row] = await database.query<LeaseRow>(findLease, [upload.id])
      // revision + 1 alone proves nothing: the next holder may also have written once. Only our token in the row proves it was us.
      const lastToken = change.release ? row?.lease_holder : row?.lease_token
      const isOurs = row !== undefined && row.revision === revision + 1 && lastToken === lease.token
      return isOurs ? [{ id: upload.id }] : []
    }
  }

  function lost(lease: HeldLease): UploadError {
    if (!lease.stop.signal.aborted) lease.stop.abort('lost')
    return errors.takenOver()
  }

  /** A promise that resolves when another node announces that upload `id` is free. */
  function releaseSignal(id: string) {
    let wake = () => {}
    const promise = new Promise<void>((resolve) => {
      wake = resolve
    })
    const all = waiting.get(id) ?? new Set()
    all.add(wake)
    waiting.set(id, all)
    return {
      promise,
      unsubscribe() {
        all.delete(wake)
        if (all.size === 0 && waiting.get(id) === all) waiting.delete(id)
      },
    }
  }

  return {
    withLock,
    async waitForRelease(id, authorizeOwner) {
      const earlier = [...(awaited.get(id) ?? [])]
      const [row] = await database.query<UploadRow>(findLease, [id])
      if (!row) throw errors.uploadNotFound()
      const upload = toUploadRecord(row)
      authorizeOwner(upload)
      // A body that still waits for the lease would change the offset after this request has reported it.
      for (const lease of awaited.get(id) ?? []) lease.stop.abort('asked')
      const isFree = !row.is_held && !held.has(id) && !earlier.some(isAcquired)
      if (upload.state !== 'receiving' || isFree) return upload
      return withLock(id, authorizeOwner, async (lease) => lease.upload)
    },
    held: () => held.size,
    async close() {
      clearInterval(timer)
      await Promise.all([...held.values()].map((lease) => lease.ended))
    },
  }
}

function isAcquired({ validUntil }: HeldLease): boolean {
  return validUntil > 0
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
