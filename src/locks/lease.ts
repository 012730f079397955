/*
 * The right to write to one upload, for any number of processes.
 *
 * A lease is three columns of the session's row: a token, a time until which it holds, and the holder's name (or, once it
 * was given back with a write, the token that did so). Taking it is one UPDATE that only matches when nobody holds it; every
 * write by the holder says "and lease_token = mine", so a holder that was overtaken writes nothing, however late it wakes. A
 * timer renews all leases of this process in one statement. No connection is held while bytes flow.
 *
 * A newcomer asks: the holder in this process by its AbortSignal, one elsewhere by NOTIFY. The holder saves what it has
 * and lets go. A holder that died is not asked for long: its lease runs out.
 */
import { randomUUID } from 'node:crypto'
import { UploadError } from '../core/errors/error.ts'
import type { Lease, Locker, UploadPatch } from '../core/ports.ts'
import { hasEnded, type UploadRecord } from '../core/upload.ts'
import type { Database } from '../db/open.ts'
import { toUploadRecord, type UploadRow } from '../db/upload-row.ts'
import { shrinkReservation } from '../db/usage.ts'
import { applyChange, saveFor, saveValues } from './save.ts'

export interface LeaseOptions {
  database: Database
  /** How long a lease holds unless renewed; so long a dead holder blocks an upload. */
  leaseMs: number
  /** How long a newcomer waits for the holder. */
  waitMs: number
  onError(error: unknown): void
  /** Told when a lease was taken that had run out, because its holder never gave it back. */
  onTakeover?(id: string): void
}

export interface LeaseLocker extends Locker {
  /** Leases held by this process. */
  held(): number
  close(): Promise<void>
}

const takeLease = {
  name: 'lease-take',
  // A lease that ran out was never given back: what its holder wrote to the store may be recorded nowhere. One that is ours
  // already was taken by this very statement, whose answer was lost.
  text: `update upload_sessions s set lease_token = $2, lease_until = now() + $3 * interval '1 millisecond', lease_holder = $4,
      is_answer_lost = s.is_answer_lost and s.state <> 'receiving',
      needs_cleanup = s.needs_cleanup or (s.lease_until is not null and s.lease_token is distinct from $2)
    from (select lease_until, lease_token from upload_sessions where id = $1) was
    where s.id = $1 and (s.lease_until is null or s.lease_until < now() or s.lease_token = $2)
    returning s.*, coalesce(was.lease_until < now() and was.lease_token <> $2, false) as is_stolen`,
}
const findLease = {
  name: 'lease-look',
  text: `select *, coalesce(lease_until >= now(), false) as is_held from upload_sessions where id = $1`,
}
const renewLeases = {
  name: 'lease-renew',
  text: `update upload_sessions s set lease_until = now() + $3 * interval '1 millisecond'
    from unnest($1::uuid[], $2::uuid[]) as mine(id, token)
    where s.id = mine.id and s.lease_token = mine.token
    returning s.id`,
}
const releaseLease = {
  name: 'lease-release',
  // What a holder that was overtaken may have left in the store came after whatever was cleaned up meanwhile, or is just being.
  text: `update upload_sessions set lease_token = nullif(lease_token, $2), needs_cleanup = needs_cleanup or $3,
      updated_at = case when $3 then now() else updated_at end,
      lease_until = case when lease_token = $2 then null else lease_until end
    where id = $1 and (lease_token = $2 or $3)`,
}
const notify = { name: 'lease-notify', text: `select pg_notify($1, $2)` }
const channel = 'landfall_lease'

interface LeaseRow extends UploadRow {
  lease_token: string | null
  /** The node that has the lease; once it was given back with a write, the token that did so. */
  lease_holder: string | null
}

interface HeldLease {
  id: string
  token: string
  stop: AbortController
  /** Until when the lease surely is ours, by this process's own clock. */
  sureUntil: number
  isReleased: boolean
  mayHaveOrphans: boolean
  wasAsked: boolean
  ended: Promise<void>
}

/** A locker over the sessions of `database`. */
export async function leaseLocker({
  database,
  leaseMs,
  waitMs,
  onError,
  onTakeover,
}: LeaseOptions): Promise<LeaseLocker> {
  const node = randomUUID()
  const holds = new Map<string, HeldLease>()
  const listeners = new Map<string, Set<() => void>>()

  await database.listen(channel, (payload) => {
    const [verb, id = ''] = payload.split(' ')
    if (verb === 'ask') askLocalHolder(id)
    else for (const wake of listeners.get(id) ?? []) wake()
  })

  const timer = setInterval(() => void renew([...holds.values()]).catch(onError), leaseMs / 3)
  timer.unref()

  function askLocalHolder(id: string) {
    const withLock = holds.get(id)
    if (!withLock) return
    withLock.wasAsked = true
    withLock.stop.abort('asked')
  }

  async function renew(mine: HeldLease[]): Promise<void> {
    const live = mine.filter((hold) => !hold.isReleased)
    if (live.length === 0) return
    const sureUntil = performance.now() + leaseMs
    const rows = await database.query<{ id: string }>(renewLeases, [
      live.map((hold) => hold.id),
      live.map((hold) => hold.token),
      leaseMs,
    ])
    const renewed = new Set(rows.map((row) => row.id))
    for (const hold of live) {
      if (renewed.has(hold.id)) hold.sureUntil = sureUntil
      else if (!hold.isReleased) hold.stop.abort('lost')
    }
  }

  async function hold<T>(
    id: string,
    authorizeOwner: (upload: UploadRecord) => void,
    work: (lease: Lease) => Promise<T>,
  ): Promise<T> {
    const token = randomUUID()
    const { row, sureUntil } = await take(id, token, authorizeOwner)
    let markEnded = () => {}
    const mine: HeldLease = {
      id,
      token,
      stop: new AbortController(),
      sureUntil,
      isReleased: false,
      mayHaveOrphans: false,
      wasAsked: false,
      ended: new Promise((resolve) => {
        markEnded = resolve
      }),
    }
    holds.set(id, mine)
    try {
      const upload = toUploadRecord(row)
      authorizeOwner(upload)
      return await work(openLease(mine, upload, row.revision))
    } finally {
      await release(mine)
      if (holds.get(id) === mine) holds.delete(id)
      markEnded()
    }
  }

  /** Takes the lease as soon as it is free. */
  async function take(
    id: string,
    token: string,
    authorizeOwner: (upload: UploadRecord) => void,
  ): Promise<{ row: UploadRow; sureUntil: number }> {
    const until = performance.now() + waitMs
    let pauseMs = 20
    let asked: string | null = null
    for (;;) {
      const here = holds.get(id)
      if (!here) {
        const sureUntil = performance.now() + leaseMs
        const [row] = await database.query<UploadRow>(takeLease, [id, token, leaseMs, node])
        if (row) {
          if (row.is_stolen) onTakeover?.(id)
          return { row, sureUntil }
        }
      }
      const [found] = await database.query<LeaseRow>(findLease, [id])
      if (!found) throw new UploadError('UPLOAD_NOT_FOUND', 'There is no such upload.')
      authorizeOwner(toUploadRecord(found))
      const left = until - performance.now()
      if (left <= 0) throw new UploadError('UPLOAD_LOCKED', 'Another request is writing to this upload.')
      if (here) {
        askLocalHolder(id)
        await Promise.race([here.ended, sleep(left)])
        continue
      }
      const freed = releaseSignal(id)
      // Every holder once: another newcomer may have been quicker.
      if (found.lease_token !== asked) await database.query(notify, [channel, `ask ${id}`])
      asked = found.lease_token
      await Promise.race([freed.promise, sleep(Math.min(pauseMs, left))])
      freed.forget()
      pauseMs = Math.min(250, pauseMs * 1.5)
    }
  }

  async function release(mine: HeldLease): Promise<void> {
    if (!mine.isReleased) {
      mine.isReleased = true
      // One that cannot be given back runs out.
      await database.query(releaseLease, [mine.id, mine.token, mine.mayHaveOrphans]).catch(onError)
    }
    if (mine.wasAsked) await database.query(notify, [channel, `free ${mine.id}`]).catch(onError)
  }

  function openLease(mine: HeldLease, upload: UploadRecord, firstRevision: number): Lease {
    let revision = firstRevision
    let last: Promise<unknown> = Promise.resolve()
    return {
      upload,
      signal: mine.stop.signal,
      // One after the other: two that go by the same revision look like two holders.
      save(wanted: UploadPatch) {
        const saving = last.then(() => saveNow(wanted))
        last = saving.catch(() => {})
        return saving
      },
      expectOrphan() {
        mine.mayHaveOrphans = true
      },
      clearOrphans() {
        mine.mayHaveOrphans = false
      },
      async confirm() {
        if (performance.now() < mine.sureUntil) return
        await renew([mine])
        if (mine.stop.signal.aborted && mine.stop.signal.reason === 'lost') throw lost(mine)
      },
    }

    async function saveNow(wanted: UploadPatch): Promise<void> {
      const change = wanted.release && mine.mayHaveOrphans ? { ...wanted, isDirty: true } : wanted
      const values = saveValues(upload, mine.token, revision, change)
      let saved = await database.queryOnce<{ id: string }>(saveFor(upload, change), values)
      if (saved === undefined) saved = await retrySave(values, change)
      if (saved.length === 0) throw lost(mine)
      revision += 1
      if (change.release) mine.isReleased = true
      const wasUnknown = upload.size === null
      applyChange(upload, change)
      // Beside the statement, because it is rare: what it leaves undone is settled when the upload ends.
      if (wasUnknown && upload.size !== null && !hasEnded(upload))
        await shrinkReservation(database, upload).catch(onError)
    }

    /** After a write of which nobody knows whether it happened: the row's revision knows. */
    async function retrySave(values: unknown[], change: UploadPatch): Promise<{ id: string }[]> {
      const saved = await database.query<{ id: string }>(saveFor(upload, change), values)
      if (saved.length > 0) return saved
      const [row] = await database.query<LeaseRow>(findLease, [upload.id])
      // Who has taken the lease since may have written as often as this would have: it is ours only where the row says so.
      const last = change.release ? row?.lease_holder : row?.lease_token
      const isOurs = row !== undefined && row.revision === revision + 1 && last === mine.token
      return isOurs ? [{ id: upload.id }] : []
    }
  }

  function lost(mine: HeldLease): UploadError {
    if (!mine.stop.signal.aborted) mine.stop.abort('lost')
    return new UploadError('UPLOAD_LOCKED', 'Another request took this upload over.')
  }

  /** A promise that resolves at the next sign that upload `id` is free. */
  function releaseSignal(id: string) {
    let wake = () => {}
    const promise = new Promise<void>((resolve) => {
      wake = resolve
    })
    const all = listeners.get(id) ?? new Set()
    all.add(wake)
    listeners.set(id, all)
    return {
      promise,
      forget() {
        all.delete(wake)
        if (all.size === 0 && listeners.get(id) === all) listeners.delete(id)
      },
    }
  }

  return {
    withLock: hold,
    async waitForRelease(id, authorizeOwner) {
      const [row] = await database.query<UploadRow>(findLease, [id])
      if (!row) throw new UploadError('UPLOAD_NOT_FOUND', 'There is no such upload.')
      const upload = toUploadRecord(row)
      authorizeOwner(upload)
      if (upload.state !== 'receiving' || (!row.is_held && !holds.has(id))) return upload
      return hold(id, authorizeOwner, async (lease) => lease.upload)
    },
    held: () => holds.size,
    async close() {
      clearInterval(timer)
      await Promise.all([...holds.values()].map((mine) => mine.ended))
    },
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
