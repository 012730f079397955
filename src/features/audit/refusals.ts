/*
 * Refusals cost the client that is refused nothing, so writing them down must cost little: they are gathered for a moment, the same
 * ones are counted and not repeated. Refusals of a known user are never dropped: only who has a token can cause them. Those of
 * clients without a known user are grouped by network (IPv4 /24, IPv6 /48). Of too many networks only the number is kept, and on
 * admin routes a line a route besides. However many come, memory and rows are bounded.
 */
import type { AuditEntry } from '../../core/audit.ts'
import type { Code, UploadError } from '../../core/errors.ts'
import type { Actor, Origin } from '../../core/upload.ts'
import { networkOf } from '../../http/identity/origin.ts'

export interface Refused {
  refusal: UploadError
  /** `null`: the client is not known. */
  actor: Actor | null
  from: Origin
  uploadId: string | null
  /** The admin route that was asked, such as `PUT /v1/admin/policies`; `null`: another route. */
  adminRoute?: string | null
}

export interface RefusalLog {
  note(refused: Refused): void
  /** Writes what was gathered, and gathers nothing any more. */
  close(): Promise<void>
}

export interface RefusalLogOptions {
  write(entries: AuditEntry[]): Promise<void>
  onFault(error: unknown): void
  /** For so long refusals are gathered. */
  everyMs?: number
  /** Networks without a known user that are written at a time, and as many again for admin routes. */
  most?: number
  /** Lines of known users that are gathered before they are written at once. */
  mostKnown?: number
}

// Somebody was not let to do something. What a client got wrong, or what will pass, is for the log of requests.
const telling = new Set<Code>([
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
interface Gathered {
  lines: Map<string, Line>
  known: number
  networks: number
  networksOnAdminRoutes: number
  dropped: number
}

/** Gathers refusals and writes them down now and then. */
export function createRefusalLog(options: RefusalLogOptions): RefusalLog {
  const { write, onFault, everyMs = 5000, most = 100, mostKnown = 1000 } = options
  let gathered = nothing()
  let timer: NodeJS.Timeout | null = null
  let writing: Promise<void> = Promise.resolve()

  function flush(): Promise<void> {
    if (timer) clearTimeout(timer)
    timer = null
    const entries: AuditEntry[] = [...gathered.lines.values()]
    if (gathered.dropped > 0)
      entries.push({ action: 'audit.drop', isAllowed: false, by: null, times: gathered.dropped })
    gathered = nothing()
    writing = writing.then(() => write(entries)).catch(onFault)
    return writing
  }

  function noteKnown(actor: Actor, refused: Refused): void {
    const { id, tenant, role, keyId } = actor
    // Not by address: of those a user may have very many.
    const name = JSON.stringify([id, tenant, role, keyId, ...whyOf(refused), refused.adminRoute])
    if (!countIn(gathered.lines, name, () => lineOf(refused))) return
    gathered.known += 1
    if (gathered.known >= mostKnown) void flush()
  }

  function noteUnknown(refused: Refused): void {
    const { lines } = gathered
    const { from, adminRoute = null } = refused
    const network = networkOf(from.address)
    const name = JSON.stringify([network, ...whyOf(refused), adminRoute])
    const origin = lines.get(name)?.by?.from
    // Several addresses of one network: the network is what they have in common.
    if (origin && origin.address !== from.address) origin.address = network
    if (!lines.has(name) && adminRoute === null && gathered.networks >= most) gathered.dropped += 1
    else if (!lines.has(name) && adminRoute !== null && gathered.networksOnAdminRoutes >= most)
      countIn(lines, JSON.stringify(['*', ...whyOf(refused), adminRoute]), () => lineFromElsewhere(refused))
    else if (countIn(lines, name, () => lineOf(refused)))
      gathered[adminRoute === null ? 'networks' : 'networksOnAdminRoutes'] += 1
  }

  return {
    note(refused) {
      const [code, rule] = whyOf(refused)
      if (!telling.has(code) && rule === null) return
      if (refused.actor) noteKnown(refused.actor, refused)
      else noteUnknown(refused)
      timer ??= setTimeout(() => void flush(), everyMs).unref()
    },
    close: flush,
  }
}

function nothing(): Gathered {
  return { lines: new Map(), known: 0, networks: 0, networksOnAdminRoutes: 0, dropped: 0 }
}

/** Counts one more of `name`; whether it is the first. */
function countIn(lines: Map<string, Line>, name: string, lineOfFirst: () => Line): boolean {
  const found = lines.get(name)
  if (found) found.times += 1
  else lines.set(name, lineOfFirst())
  return !found
}

function whyOf({ refusal: { code, facts } }: Refused): [code: Code, rule: string | null] {
  return [code, typeof facts.rule === 'string' ? facts.rule : null]
}

function lineOf(refused: Refused): Line {
  const { actor, from, uploadId, adminRoute = null } = refused
  const [code, rule] = whyOf(refused)
  const by = {
    id: actor?.id ?? null,
    tenant: actor?.tenant ?? null,
    role: actor?.role ?? null,
    keyId: actor?.keyId ?? null,
    from: { ...from },
  }
  return { action: 'request.refuse', isAllowed: false, by, uploadId, target: adminRoute, code, rule, times: 1 }
}

/** All networks beyond those that have a line of their own. */
function lineFromElsewhere(refused: Refused): Line {
  return { ...lineOf(refused), by: null, uploadId: null, note: 'from many other networks' }
}
