import type { Config } from './config.ts'
import type { Permit } from './core/access.ts'
import type { Database } from './db/open.ts'
import { type Keys, keysIn } from './features/keys/keys.ts'
import type { TokenCheck } from './http/auth.ts'
import { issuersCheck } from './http/identity/issuers.ts'
import { type ResumeTokens, resumeCheck, resumeTokens } from './http/identity/resume.ts'
import { secretCheck } from './http/identity/secret.ts'

/** Everything that knows who asks and what they may, put together. */
export interface Identity {
  /** Asked in turn who a bearer token speaks for. */
  checks: TokenCheck[]
  permit: Permit
  resumeTokens: ResumeTokens
  keys: Keys
  close(): Promise<void>
}

export interface IdentityParts {
  database: Database
  /** What bearer tokens of the simple case are signed with. */
  secret: string
  now(): Date
  onFault(error: unknown): void
}

/** Identity as `config` wants it. */
export async function openIdentity(
  config: Config,
  { database, secret, now, onFault }: IdentityParts,
): Promise<Identity> {
  const keys = await keysIn({ database, now, onFault })
  return {
    checks: [keys.identify, resumeCheck(secret), issuersCheck(config.ISSUERS), secretCheck(secret)],
    permit: keys.permit,
    resumeTokens: resumeTokens(secret),
    keys,
    close: keys.close,
  }
}
