/*
 * Refusals cost the one who is refused nothing, so writing them down must cost us little: they are gathered for a moment, the
 * same ones are counted and not repeated, and of too many different ones only their number is kept. However many come, the
 * memory and the rows are bounded.
 */
import type { AuditEntry } from '../../core/audit.ts'
import type { Code, UploadError } from '../../core/errors.ts'
import type { Actor, Origin } from '../../core/upload.ts'

export interface Refused {
  refusal: UploadError
  /** `null`: nobody knows who. */
  actor: Actor | null
  from: Origin
  uploadId: string | null
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
  /** So many different ones are written at a time. */
  most?: number
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

/** Gathers refusals and writes them down now and then. */
export function createRefusalLog({ write, onFault, everyMs = 5000, most = 100 }: RefusalLogOptions): RefusalLog {
  let gathered = new Map<string, AuditEntry & { times: number }>()
  let dropped = 0
  let timer: NodeJS.Timeout | null = null
  let writing: Promise<void> = Promise.resolve()

  function flush(): Promise<void> {
    if (timer) clearTimeout(timer)
    timer = null
    const entries: AuditEntry[] = [...gathered.values()]
    if (dropped > 0) entries.push({ action: 'audit.drop', isAllowed: false, by: null, times: dropped })
    gathered = new Map()
    dropped = 0
    writing = writing.then(() => write(entries)).catch(onFault)
    return writing
  }

  return {
    note({ refusal, actor, from, uploadId }) {
      const { code, facts } = refusal
      const rule = typeof facts.rule === 'string' ? facts.rule : null
      if (!telling.has(code) && rule === null) return
      const by = {
        id: actor?.id ?? null,
        tenant: actor?.tenant ?? null,
        role: actor?.role ?? null,
        keyId: actor?.keyId ?? null,
        from,
      }
      const name = JSON.stringify([by.id, by.tenant, by.role, by.keyId, from.address, code, rule])
      const known = gathered.get(name)
      if (known) known.times += 1
      else if (gathered.size >= most) dropped += 1
      else gathered.set(name, { action: 'request.refuse', isAllowed: false, by, uploadId, code, rule, times: 1 })
      timer ??= setTimeout(() => void flush(), everyMs).unref()
    },
    close: flush,
  }
}
