import type { AuthorizationRequest } from '../../core/access/authorization.ts'
import { errors } from '../../core/errors/errors.ts'
import { type Actor, isMeasured, scopes } from '../../core/upload.ts'
import { within } from '../../core/within.ts'
import { toActor } from '../../http/identity/claims.ts'
import type { DeliveredEvent } from '../../jobs/outbox.ts'
import type { Feature } from '../feature.ts'
import type { CompletedEvent, Decision, Hooks, Identified, Verdict } from '../hooks.ts'

const afterwardsMs = 30_000

/** The operator's functions as members of a feature. */
export type TypedHooks = Pick<Feature, 'authorize' | 'inspect' | 'nameObject' | 'identify' | 'listener'>

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

  async function decide(hook: keyof Hooks, run: () => Decision | Promise<Decision>): Promise<Denial | null> {
    const decision = await call(hook, run, isDecision)
    if (decision === true) return null
    return { reason: decision === false ? undefined : decision.because }
  }

  const { authorize, beforeCreate, beforeComplete, onFirstBytes, nameObject, identify, onUploadCompleted } = hooks

  async function authorizeAll(request: AuthorizationRequest): Promise<void> {
    const { action } = request
    if (authorize) {
      const verdict = await call('authorize', () => authorize({ ...request, ...contextOf(request.actor) }), isVerdict)
      if (verdict === 'hidden') throw errors.uploadNotFound()
      if (verdict !== true)
        throw errors.deniedByHook({ action, reason: verdict === false ? undefined : verdict.because })
    }
    const denial = await denialBefore(request)
    if (denial) throw errors.deniedByHook({ action, ...denial })
  }

  async function denialBefore({ actor, action, upload, creation }: AuthorizationRequest): Promise<Denial | null> {
    if (beforeCreate && action === 'create' && creation)
      return decide('beforeCreate', () => beforeCreate({ ...contextOf(actor), creation: { ...creation } }))
    if (beforeComplete && (action === 'complete' || action === 'finish') && upload && isMeasured(upload))
      return decide('beforeComplete', () => beforeComplete({ ...contextOf(actor), upload: { ...upload } }))
    return null
  }

  return {
    ...((authorize || beforeCreate || beforeComplete) && { authorize: authorizeAll }),
    ...(onFirstBytes && {
      async inspect({ upload, by, bytes }) {
        // The server's own work is about bytes that a request of the owner has shown before.
        if (!by) return
        const denial = await decide('onFirstBytes', () => onFirstBytes({ ...contextOf(by), upload, bytes }))
        if (denial) throw errors.contentDeniedByHook(denial)
      },
    }),
    ...(nameObject && {
      nameObject: ({ actor, creation, id, unique }) =>
        call('nameObject', () => nameObject({ ...contextOf(actor), creation: { ...creation }, id, unique }), isText),
    }),
    ...(identify && {
      async identify({ method, url, headers, ip }) {
        const identified = await call(
          'identify',
          () => identify({ method, url, headers: { ...headers }, ip }),
          isIdentified,
        )
        return identified && actorOf(identified)
      },
    }),
    ...(onUploadCompleted && {
      async listener(event) {
        if (event.type !== 'upload.completed') return
        const done = await within(
          (async () => void (await onUploadCompleted(completedEventOf(event))))().then(() => true),
          afterwardsMs,
        )
        if (done === null) throw new Error(`onUploadCompleted did not return within ${afterwardsMs} ms`)
      },
    }),
  }
}

interface Denial {
  reason: string | undefined
}

/** A copy, so that a hook cannot change who the engine works for. */
function contextOf({ account: user, ...actor }: Actor) {
  return { actor, user: user as undefined }
}

function completedEventOf({ id, uploadId, createdAt, data }: DeliveredEvent): CompletedEvent {
  return {
    id,
    uploadId,
    completedAt: createdAt,
    ...(data as unknown as Omit<CompletedEvent, 'id' | 'uploadId' | 'completedAt'>),
  }
}

function isVerdict(value: unknown): value is Verdict {
  return value === 'hidden' || isDecision(value)
}

function isDecision(value: unknown): value is Decision {
  return typeof value === 'boolean' || isText((value as { because?: unknown } | null)?.because)
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.isWellFormed() && value.length > 0 && value.length <= 4096
}

function isIdentified(value: unknown): boolean {
  return value === null || actorOf(value as Identified) !== null
}

/** The actor of a user that code outside named; `null` when it names none that is valid. */
export function actorOf(identified: Identified): Actor | null {
  const { id: user, role, tenant, isAdmin, scopes: limits } = identified ?? {}
  const actor = toActor({ user, role, tenant, isAdmin })
  if (!actor || limits === undefined) return actor
  return Array.isArray(limits) && limits.every((scope) => scopes.includes(scope)) ? { ...actor, scopes: limits } : null
}
