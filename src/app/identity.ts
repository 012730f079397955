import type { Config } from '../config.ts'
import type { Authorizer } from '../core/access/authorization.ts'
import type { ContentCheck } from '../core/policy/content-check.ts'
import type { Feature } from '../features/feature.ts'
import type { AuthOptions } from '../http/identity/auth.ts'
import { issuersCheck } from '../http/identity/issuers.ts'
import { resumeCheck } from '../http/identity/resume.ts'
import { secretCheck } from '../http/identity/secret.ts'
import { cacheChecks } from '../http/identity/token-cache.ts'
import { tokenRules } from './development.ts'

/**
 * How the user of a request is found: the tokens of the features, resume tokens, the tokens of ISSUERS and of JWT_SECRET, and at last the
 * features that identify requests by other means.
 * @param tokenNow the clock for the expiry of tokens
 */
export function authOf(config: Config, features: Feature[], secrets: string[], tokenNow: () => Date): AuthOptions {
  const signed = cacheChecks(
    [resumeCheck(secrets), issuersCheck(config.ISSUERS, tokenNow), secretCheck(secrets, tokenRules(config), tokenNow)],
    tokenNow,
  )
  const identifying = features.flatMap(({ identify }) => identify ?? [])
  return {
    checks: [...features.flatMap(({ checkToken }) => checkToken ?? []), signed],
    async identify(request) {
      for (const identify of identifying) {
        const actor = await identify(request)
        if (actor) return actor
      }
      return null
    },
  }
}

/** Asks every feature in order; each may refuse. */
export function authorizerOf(features: Feature[]): Authorizer {
  return async (request) => {
    for (const { authorize } of features) await authorize?.(request)
  }
}

/** Lets every feature that inspects first bytes do so, in order; `undefined`: none does. */
export function inspectionOf(features: Feature[]): ContentCheck['inspect'] {
  const inspecting = features.flatMap(({ inspect }) => inspect ?? [])
  if (inspecting.length === 0) return undefined
  return async (first) => {
    for (const inspect of inspecting) await inspect(first)
  }
}
