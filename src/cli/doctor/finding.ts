/** What a probe looked at. */
export type Subject = 'configuration' | 'folder' | 'database' | 'bucket' | 'address' | 'proxy'

/** What a probe found: that something works, that it may not for long, or that it does not. */
export interface Finding {
  about: Subject
  is: 'fine' | 'doubtful' | 'broken'
  /** One sentence, without secrets. */
  says: string
  /** What to do about it; of everything that is not fine. */
  remedy?: string
}

/** Findings about one subject. */
export function about(subject: Subject) {
  return {
    fine: (says: string): Finding => ({ about: subject, is: 'fine', says }),
    doubtful: (says: string, remedy: string): Finding => ({ about: subject, is: 'doubtful', says, remedy }),
    broken: (says: string, remedy: string): Finding => ({ about: subject, is: 'broken', says, remedy }),
  }
}

/** The message of anything thrown, and of what caused it where that says more. */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const { cause } = thrown
  if (cause instanceof AggregateError && cause.errors[0] instanceof Error) return cause.errors[0].message
  return cause instanceof Error ? cause.message : thrown.message
}

/** A system or driver code of anything thrown, however deep. */
export function codeOf(thrown: unknown): string | undefined {
  for (let at = thrown; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string' && code !== 'STORE_UNAVAILABLE') return code
    if (at instanceof AggregateError && at.errors[0] instanceof Error) return codeOf(at.errors[0])
  }
  return undefined
}
