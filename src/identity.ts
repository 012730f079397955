import { type Config, ConfigError } from './config.ts'
import type { Permit } from './core/access.ts'
import type { NameObject } from './core/begin/object-key.ts'
import type { Database } from './db/open.ts'
import { tokenRules } from './development.ts'
import { type GuardedHooks, guardHooks } from './features/hooks/guard.ts'
import { loadHooks } from './features/hooks/load.ts'
import { type Keys, keysIn } from './features/keys/keys.ts'
import type { Identify, TokenCheck } from './http/identity/auth.ts'
import { issuersCheck } from './http/identity/issuers.ts'
import { remembered } from './http/identity/remember.ts'
import { type ResumeTokens, resumeCheck, resumeTokens } from './http/identity/resume.ts'
import { secretCheck } from './http/identity/secret.ts'

/** Everything that knows who asks and what they may, put together. */
export interface Identity {
  /** Asked in turn who a bearer token speaks for. */
  checks: TokenCheck[]
  /** Who sends what no check knows. */
  identify: Identify | undefined
  permit: Permit
  nameObject: NameObject | undefined
  resumeTokens: ResumeTokens
  keys: Keys
  close(): Promise<void>
}

export interface IdentityParts {
  database: Database
  /** What bearer tokens of the simple case are verified with; the first signs. */
  secrets: string[]
  now(): Date
  /** The time by which tokens end. */
  tokenNow(): Date
  onFault(error: unknown): void
}

/** Identity as `config` wants it. */
export async function openIdentity(
  config: Config,
  { database, secrets, now, tokenNow, onFault }: IdentityParts,
): Promise<Identity> {
  const hooks = await openHooks(config)
  const keys = await keysIn({ database, now, onFault })
  return {
    checks: [
      keys.identify,
      remembered(
        [
          resumeCheck(secrets),
          issuersCheck(config.ISSUERS, tokenNow),
          secretCheck(secrets, tokenRules(config), tokenNow),
        ],
        tokenNow,
      ),
    ],
    identify: hooks.identify,
    async permit(demand) {
      await keys.permit(demand)
      await hooks.permit?.(demand)
    },
    nameObject: hooks.nameObject,
    resumeTokens: resumeTokens(secrets[0]!),
    keys,
    close: keys.close,
  }
}

async function openHooks({ HOOKS, HOOK_TIMEOUT }: Config): Promise<GuardedHooks> {
  if (HOOKS === undefined) return {}
  try {
    return guardHooks(await loadHooks(HOOKS), HOOK_TIMEOUT)
  } catch (thrown) {
    throw new ConfigError([`HOOKS: ${(thrown as Error).message}`])
  }
}
