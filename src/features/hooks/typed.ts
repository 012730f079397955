import { type Authorizer, notFound } from '../../core/access/access.ts'
import { UploadError } from '../../core/errors/error.ts'
import type { NameObject } from '../../core/object-key.ts'
import { type Actor, scopes } from '../../core/upload.ts'
import { within } from '../../core/within.ts'
import type { Identify } from '../../http/identity/auth.ts'
import { toActor } from '../../http/identity/claims.ts'
import type { Hooks, Identified, Verdict } from './hooks.ts'

/** The operator's functions, as the house asks them. */
export interface TypedHooks {
  authorize?: Authorizer
  nameObject?: NameObject
  identify?: Identify
}

/**
 * `hooks` behind a guard: what throws, takes longer than `timeoutMs` or answers what nobody understands becomes
 * IDENTITY_UNAVAILABLE with the cause for the log, and lets nobody through.
 */
export function typeHooks(hooks: Hooks, timeoutMs: number): TypedHooks {
  async function ask<T>(name: keyof Hooks, question: () => T | Promise<T>, isAnswer: (answer: unknown) => boolean) {
    try {
      const answered = await within((async () => ({ answer: await question() }))(), timeoutMs)
      if (answered === null) throw new Error(`it did not answer in ${timeoutMs} ms`)
      if (!isAnswer(answered.answer)) throw new Error('its answer is none of those it may give')
      return answered.answer
    } catch (cause) {
      const message = 'The server cannot decide that right now. Please try again in a moment.'
      throw new UploadError('IDENTITY_UNAVAILABLE', message, { hook: name }, { cause })
    }
  }

  const guarded: TypedHooks = {}
  if (hooks.authorize) {
    guarded.authorize = async ({ actor, ...rest }) => {
      const verdict = await ask('authorize', () => hooks.authorize!({ ...rest, actor: { ...actor } }), isVerdict)
      if (verdict === true) return
      if (verdict === 'hidden') throw notFound()
      const message = typeof verdict === 'object' ? verdict.because : 'This is not allowed to you.'
      throw new UploadError('FORBIDDEN', message, { verb: rest.action })
    }
  }
  if (hooks.nameObject) {
    guarded.nameObject = ({ actor, wish: creation, id, unique }) =>
      ask('nameObject', () => hooks.nameObject!({ actor: { ...actor }, creation: { ...creation }, id, unique }), isText)
  }
  if (hooks.identify) {
    guarded.identify = async ({ method, url, headers, ip }) => {
      const said = await ask(
        'identify',
        () => hooks.identify!({ method, url, headers: { ...headers }, ip }),
        isIdentified,
      )
      return said && actorOf(said)
    }
  }
  return guarded
}

function isVerdict(answer: unknown): answer is Verdict {
  if (typeof answer === 'boolean' || answer === 'hidden') return true
  return isText((answer as { because?: unknown } | null)?.because)
}

function isText(answer: unknown): boolean {
  return typeof answer === 'string' && answer.isWellFormed() && answer.length > 0 && answer.length <= 4096
}

function isIdentified(answer: unknown): boolean {
  return answer === null || actorOf(answer as Identified) !== null
}

function actorOf(said: Identified): Actor | null {
  const { id: user, role, tenant, isAdmin, scopes: limits } = said ?? {}
  const actor = toActor({ user, role, tenant, isAdmin })
  if (!actor || limits === undefined) return actor
  return Array.isArray(limits) && limits.every((scope) => scopes.includes(scope)) ? { ...actor, scopes: limits } : null
}
