/** The component that a probe tested. */
export type Subject = 'configuration' | 'folder' | 'database' | 'store' | 'bucket' | 'scanner' | 'address' | 'proxy'

/** The result of one check. */
export interface Finding {
  about: Subject
  status: 'ok' | 'warning' | 'error'
  /** One sentence, without secrets. */
  message: string
  /** What to do about a warning or an error. */
  fix?: string
}

/** Makers of findings about one subject. */
export function about(subject: Subject) {
  return {
    ok: (message: string): Finding => ({ about: subject, status: 'ok', message }),
    warning: (message: string, fix: string): Finding => ({ about: subject, status: 'warning', message, fix }),
    error: (message: string, fix: string): Finding => ({ about: subject, status: 'error', message, fix }),
  }
}

/** The message of the cause of `thrown` if it has one, else its own. */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const { cause } = thrown
  if (cause instanceof AggregateError && cause.errors[0] instanceof Error) return cause.errors[0].message
  return cause instanceof Error ? cause.message : thrown.message
}

/** The first code of a system or driver error in the chain of causes. */
export function codeOf(thrown: unknown): string | undefined {
  for (let at = thrown; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string' && code !== 'STORE_UNAVAILABLE') return code
    if (at instanceof AggregateError && at.errors[0] instanceof Error) return codeOf(at.errors[0])
  }
  return undefined
}
