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

/** Authentication and authorization of one server. */
export interface Identity {
  /** Tried in order to find the user of a bearer token. */
  checks: TokenCheck[]
  /** Identifies requests that no check identifies. */
  identify: Identify | undefined
  authorizer: Authorizer
  nameObject: NameObject | undefined
  resumeTokens: ResumeTokens
  keys: Keys
  close(): Promise<void>
}

export interface IdentityParts {
  database: Database
  /** The secrets of JWT_SECRET: all verify bearer tokens, the first signs. */
  secrets: string[]
  now(): Date
  /** The clock for the expiry of tokens. */
  tokenNow(): Date
  onError(error: unknown): void
}

/** Opens identity with the settings of `config`. */
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
    async authorizer(request) {
      await keys.authorize(request)
      await hooks.authorize?.(request)
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
