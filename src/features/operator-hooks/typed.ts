import type { Authorizer } from '../../core/access/authorization.ts'
import { errors } from '../../core/errors/errors.ts'
import type { NameObject } from '../../core/object-key.ts'
import { type Actor, scopes } from '../../core/upload.ts'
import { within } from '../../core/within.ts'
import type { Identify } from '../../http/identity/auth.ts'
import { toActor } from '../../http/identity/claims.ts'
import type { Hooks, Identified, Verdict } from './hooks.ts'

/** The operator's functions with the types of the engine. */
export interface TypedHooks {
  authorize?: Authorizer
  nameObject?: NameObject
  identify?: Identify
}

/**
 * Guards `hooks`: a function that throws, takes longer than `timeoutMs` or returns an invalid value becomes IDENTITY_UNAVAILABLE, with
 * the cause in the log, and the request is refused.
 */
export function typeHooks(hooks: Hooks, timeoutMs: number): TypedHooks {
  async function call<T>(hook: keyof Hooks, run: () => T | Promise<T>, isValid: (value: unknown) => boolean) {
    try {
      const returned = await within((async () => ({ value: await run() }))(), timeoutMs)
      if (returned === null) throw new Error(`it did not return within ${timeoutMs} ms`)
      if (!isValid(returned.value)) throw new Error('it returned an invalid value')
      return returned.value
    } catch (cause) {
      throw errors.hookFailed({ hook }, cause)
    }
  }

  const guarded: TypedHooks = {}
  if (hooks.authorize) {
    guarded.authorize = async ({ actor, ...rest }) => {
      const verdict = await call('authorize', () => hooks.authorize!({ ...rest, actor: { ...actor } }), isVerdict)
      if (verdict === true) return
      if (verdict === 'hidden') throw errors.uploadNotFound()
      throw errors.deniedByHook({ action: rest.action, reason: verdict === false ? undefined : verdict.because })
    }
  }
  if (hooks.nameObject) {
    guarded.nameObject = ({ actor, creation, id, unique }) =>
      call(
        'nameObject',
        () => hooks.nameObject!({ actor: { ...actor }, creation: { ...creation }, id, unique }),
        isText,
      )
  }
  if (hooks.identify) {
    guarded.identify = async ({ method, url, headers, ip }) => {
      const identified = await call(
        'identify',
        () => hooks.identify!({ method, url, headers: { ...headers }, ip }),
        isIdentified,
      )
      return identified && actorOf(identified)
    }
  }
  return guarded
}

function isVerdict(value: unknown): value is Verdict {
  if (typeof value === 'boolean' || value === 'hidden') return true
  return isText((value as { because?: unknown } | null)?.because)
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.isWellFormed() && value.length > 0 && value.length <= 4096
}

function isIdentified(value: unknown): boolean {
  return value === null || actorOf(value as Identified) !== null
}

function actorOf(identified: Identified): Actor | null {
  const { id: user, role, tenant, isAdmin, scopes: limits } = identified ?? {}
  const actor = toActor({ user, role, tenant, isAdmin })
  if (!actor || limits === undefined) return actor
  return Array.isArray(limits) && limits.every((scope) => scopes.includes(scope)) ? { ...actor, scopes: limits } : null
}
