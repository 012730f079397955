/*
 * Refusals cost the client that is refused nothing, so writing them down must cost little: they are gathered for a moment, the same
 * ones are counted and not repeated. Refusals of a known user are never dropped: only who has a token can cause them. Those of
 * clients without a known user are grouped by network (IPv4 /24, IPv6 /48). Of too many networks only the number is kept, and on
 * admin routes a line a route besides. However many come, memory and rows are bounded.
 */
import type { AuditEntry } from '../../core/audit.ts'
import type { ErrorCode, UploadError } from '../../core/errors/error.ts'
import type { Actor, ClientInfo } from '../../core/upload.ts'
import { networkOf } from '../../http/identity/client-info.ts'

export interface RejectedRequest {
  error: UploadError
  /** `null`: the client is not known. */
  actor: Actor | null
  client: ClientInfo
  uploadId: string | null
  /** The admin route that was asked, such as `PUT /v1/admin/policies`; `null`: another route. */
  adminRoute?: string | null
}

export interface RejectionLog {
  note(refused: RejectedRequest): void
  /** Writes what was gathered, and gathers nothing any more. */
  close(): Promise<void>
}

export interface RejectionLogOptions {
  write(entries: AuditEntry[]): Promise<void>
  onError(error: unknown): void
  /** For so long refusals are gathered. */
  everyMs?: number
  /** Networks without a known user that are written at a time, and as many again for admin routes. */
  maxLines?: number
  /** Lines of known users that are gathered before they are written at once. */
  maxKnownLines?: number
}

// Somebody was not let to do something. What a client got wrong, or what will pass, is for the log of requests.
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

/** Lines in the order in which they were first needed, and how many of them there are of each kind. */
interface PendingLines {
  lines: Map<string, Line>
  known: number
  networks: number
  networksOnAdminRoutes: number
  dropped: number
}

/** Gathers refusals and writes them down now and then. */
export function createRejectionLog(options: RejectionLogOptions): RejectionLog {
  const { write, onError, everyMs = 5000, maxLines = 100, maxKnownLines = 1000 } = options
  let pending = nothing()
  let timer: NodeJS.Timeout | null = null
  let writing: Promise<void> = Promise.resolve()

  function flush(): Promise<void> {
    if (timer) clearTimeout(timer)
    timer = null
    const entries: AuditEntry[] = [...pending.lines.values()]
    if (pending.dropped > 0) entries.push({ action: 'audit.drop', isAllowed: false, by: null, times: pending.dropped })
    pending = nothing()
    writing = writing.then(() => write(entries)).catch(onError)
    return writing
  }

  function noteKnown(actor: Actor, refused: RejectedRequest): void {
    const { id, tenant, role, keyId } = actor
    // Not by address: of those a user may have very many.
    const name = JSON.stringify([id, tenant, role, keyId, ...whyOf(refused), refused.adminRoute])
    if (!countIn(pending.lines, name, () => lineOf(refused))) return
    pending.known += 1
    if (pending.known >= maxKnownLines) void flush()
  }

  function noteUnknown(refused: RejectedRequest): void {
    const { lines } = pending
    const { client, adminRoute = null } = refused
    const network = networkOf(client.address)
    const name = JSON.stringify([network, ...whyOf(refused), adminRoute])
    const origin = lines.get(name)?.by?.from
    // Several addresses of one network: the network is what they have in common.
    if (origin && origin.address !== client.address) origin.address = network
    if (!lines.has(name) && adminRoute === null && pending.networks >= maxLines) pending.dropped += 1
    else if (!lines.has(name) && adminRoute !== null && pending.networksOnAdminRoutes >= maxLines)
      countIn(lines, JSON.stringify(['*', ...whyOf(refused), adminRoute]), () => lineFromElsewhere(refused))
    else if (countIn(lines, name, () => lineOf(refused)))
      pending[adminRoute === null ? 'networks' : 'networksOnAdminRoutes'] += 1
  }

  return {
    note(refused) {
      const [code, rule] = whyOf(refused)
      if (!auditedCodes.has(code) && rule === null) return
      if (refused.actor) noteKnown(refused.actor, refused)
      else noteUnknown(refused)
      timer ??= setTimeout(() => void flush(), everyMs).unref()
    },
    close: flush,
  }
}

function nothing(): PendingLines {
  return { lines: new Map(), known: 0, networks: 0, networksOnAdminRoutes: 0, dropped: 0 }
}

/** Counts one more of `name`; whether it is the first. */
function countIn(lines: Map<string, Line>, name: string, lineOfFirst: () => Line): boolean {
  const found = lines.get(name)
  if (found) found.times += 1
  else lines.set(name, lineOfFirst())
  return !found
}

function whyOf({ error: { code, facts } }: RejectedRequest): [code: ErrorCode, rule: string | null] {
  return [code, typeof facts.rule === 'string' ? facts.rule : null]
}

function lineOf(refused: RejectedRequest): Line {
  const { actor, client, uploadId, adminRoute = null } = refused
  const [code, rule] = whyOf(refused)
  const by = {
    id: actor?.id ?? null,
    tenant: actor?.tenant ?? null,
    role: actor?.role ?? null,
    keyId: actor?.keyId ?? null,
    from: { ...client },
  }
  return { action: 'request.refuse', isAllowed: false, by, uploadId, target: adminRoute, code, rule, times: 1 }
}

/** All networks beyond those that have a line of their own. */
function lineFromElsewhere(refused: RejectedRequest): Line {
  return { ...lineOf(refused), by: null, uploadId: null, note: 'from many other networks' }
}
