/*
 * A rejected request costs its client nothing, so auditing it must cost little: rejections are buffered for a few seconds, and equal ones
 * are counted in one entry. Rejections of a known user are never dropped, because only a client with a valid token can cause them.
 * Those of unknown clients are grouped by network (IPv4 /24, IPv6 /48). Beyond `maxLines` networks only their number is kept, plus one
 * entry for each admin route. Memory and rows are bounded however many requests are rejected.
 */
import type { AuditEntry } from '../../core/audit.ts'
import type { ErrorCode, UploadError } from '../../core/errors/error.ts'
import { workForAll } from '../../core/turns.ts'
import type { Actor, ClientInfo } from '../../core/upload.ts'
import { networkOf } from '../../http/identity/client-info.ts'

export interface RejectedRequest {
  error: UploadError
  /** `null`: the client is not authenticated. */
  actor: Actor | null
  client: ClientInfo
  uploadId: string | null
  /** The admin route that was requested, such as `PUT /v1/admin/policies`; `null`: another route. */
  adminRoute?: string | null
}

export interface RejectionLog {
  note(rejected: RejectedRequest): void
  /** Writes the buffered entries and stops. */
  close(): Promise<void>
}

export interface RejectionLogOptions {
  write(entries: AuditEntry[]): Promise<void>
  onError(error: unknown): void
  /** How long rejections are buffered. */
  everyMs?: number
  /** Networks of unknown clients per write, and as many again for admin routes. */
  maxLines?: number
  /** Entries of known users that are buffered before an immediate write. */
  maxKnownLines?: number
}

// Denied permissions and exceeded limits. Malformed requests and temporary failures are in the request log only.
const auditedCodes = new Set<ErrorCode>([
  'UNAUTHENTICATED',
  'ROLE_NOT_ALLOWED',
  'FORBIDDEN',
  'QUOTA_EXCEEDED',
  'UPLOAD_NOT_FOUND',
  'FILE_TOO_LARGE',
  'TYPE_NOT_ALLOWED',
  'CATEGORY_NOT_ALLOWED',
  'RATE_LIMITED',
])

type Line = AuditEntry & { times: number }

/** Buffered entries in the order of their first occurrence, and how many there are of each kind. */
interface PendingLines {
  lines: Map<string, Line>
  known: number
  networks: number
  networksOnAdminRoutes: number
  dropped: number
}

/** Buffers rejections and writes them to the audit log every `everyMs`. */
export function createRejectionLog(options: RejectionLogOptions): RejectionLog {
  const { write, onError, everyMs = 5000, maxLines = 100, maxKnownLines = 1000 } = options
  let pending = noLines()
  let timer: NodeJS.Timeout | null = null
  let writing: Promise<void> = Promise.resolve()

  function flush(): Promise<void> {
    if (timer) clearTimeout(timer)
    timer = null
    const entries: AuditEntry[] = [...pending.lines.values()]
    if (pending.dropped > 0) entries.push({ action: 'audit.drop', isAllowed: false, by: null, times: pending.dropped })
    pending = noLines()
    writing = writing.then(() => write(entries)).catch(onError)
    return writing
  }

  function noteKnown(actor: Actor, rejected: RejectedRequest): void {
    const { id, tenant, role, keyId } = actor
    // The address is no part of the key: a user may have very many.
    const key = JSON.stringify([id, tenant, role, keyId, ...whyOf(rejected), rejected.adminRoute])
    if (!countIn(pending.lines, key, () => lineOf(rejected))) return
    pending.known += 1
    if (pending.known >= maxKnownLines) void flush()
  }

  function noteUnknown(rejected: RejectedRequest): void {
    const { lines } = pending
    const { client, adminRoute = null } = rejected
    const network = networkOf(client.address)
    const key = JSON.stringify([network, ...whyOf(rejected), adminRoute])
    const entryClient = lines.get(key)?.by?.client
    // An entry for several addresses of a network names the network.
    if (entryClient && entryClient.address !== client.address) entryClient.address = network
    if (!lines.has(key) && adminRoute === null && pending.networks >= maxLines) pending.dropped += 1
    else if (!lines.has(key) && adminRoute !== null && pending.networksOnAdminRoutes >= maxLines)
      countIn(lines, JSON.stringify(['*', ...whyOf(rejected), adminRoute]), () => lineFromElsewhere(rejected))
    else if (countIn(lines, key, () => lineOf(rejected)))
      pending[adminRoute === null ? 'networks' : 'networksOnAdminRoutes'] += 1
  }

  return {
    note(rejected) {
      const [code, rule] = whyOf(rejected)
      if (!auditedCodes.has(code) && rule === null) return
      if (rejected.actor) noteKnown(rejected.actor, rejected)
      else noteUnknown(rejected)
      timer ??= workForAll(() => setTimeout(() => void flush(), everyMs).unref())
    },
    close: flush,
  }
}

function noLines(): PendingLines {
  return { lines: new Map(), known: 0, networks: 0, networksOnAdminRoutes: 0, dropped: 0 }
}

/** Counts one more rejection under `key`. @returns whether it is the first */
function countIn(lines: Map<string, Line>, key: string, lineOfFirst: () => Line): boolean {
  const found = lines.get(key)
  if (found) found.times += 1
  else lines.set(key, lineOfFirst())
  return !found
}

function whyOf({ error: { code, facts } }: RejectedRequest): [code: ErrorCode, rule: string | null] {
  return [code, typeof facts.rule === 'string' ? facts.rule : null]
}

function lineOf(rejected: RejectedRequest): Line {
  const { actor, client, uploadId, adminRoute = null } = rejected
  const [code, rule] = whyOf(rejected)
  const by = {
    id: actor?.id ?? null,
    tenant: actor?.tenant ?? null,
    role: actor?.role ?? null,
    keyId: actor?.keyId ?? null,
    client: { ...client },
  }
  return { action: 'request.refuse', isAllowed: false, by, uploadId, target: adminRoute, code, rule, times: 1 }
}

/** The entry of all networks beyond `maxLines`. */
function lineFromElsewhere(rejected: RejectedRequest): Line {
  return { ...lineOf(rejected), by: null, uploadId: null, note: 'from many other networks' }
}
