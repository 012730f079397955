import { type Config, ConfigError } from './config.ts'
import type { Authorizer } from './core/access/authorization.ts'
import type { NameObject } from './core/object-key.ts'
import type { Database } from './db/open.ts'
import { tokenRules } from './development.ts'
import { loadHooks } from './features/hooks/load.ts'
import { type TypedHooks, typeHooks } from './features/hooks/typed.ts'
import { type Keys, keysIn } from './features/keys/keys.ts'
import type { Identify, TokenCheck } from './http/identity/auth.ts'
import { issuersCheck } from './http/identity/issuers.ts'
import { type ResumeTokens, resumeCheck, resumeTokens } from './http/identity/resume.ts'
import { secretCheck } from './http/identity/secret.ts'
import { cacheChecks } from './http/identity/token-cache.ts'

/** Everything that knows who asks and what they may, put together. */
export interface Identity {
  /** Asked in turn who a bearer token speaks for. */
  checks: TokenCheck[]
  /** Who sends what no check knows. */
  identify: Identify | undefined
  authorizer: Authorizer
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
  onError(error: unknown): void
}

/** Identity as `config` wants it. */
export async function openIdentity(
  config: Config,
  { database, secrets, now, tokenNow, onError }: IdentityParts,
): Promise<Identity> {
  const hooks = await openHooks(config)
  const keys = await keysIn({ database, now, onError })
  return {
    checks: [
      keys.identify,
      cacheChecks(
        [
          resumeCheck(secrets),
          issuersCheck(config.ISSUERS, tokenNow),
          secretCheck(secrets, tokenRules(config), tokenNow),
        ],
        tokenNow,
      ),
    ],
    identify: hooks.identify,
    async authorizer(demand) {
      await keys.authorize(demand)
      await hooks.authorize?.(demand)
    },
    nameObject: hooks.nameObject,
    resumeTokens: resumeTokens(secrets[0]!),
    keys,
    close: keys.close,
  }
}

async function openHooks({ HOOKS, HOOK_TIMEOUT }: Config): Promise<TypedHooks> {
  if (HOOKS === undefined) return {}
  try {
    return typeHooks(await loadHooks(HOOKS), HOOK_TIMEOUT)
  } catch (thrown) {
    throw new ConfigError([`HOOKS: ${(thrown as Error).message}`])
  }
}
