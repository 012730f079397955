/*
 * How many bodies may flow at once. Until the gate is full everybody may send as many as they like. When it is full, a newcomer takes the
 * place of a body of the user who has most of them, and of the slowest of those; where no user has more than the newcomer will
 * have, the network that has most gives way in the same manner. Otherwise the newcomer is sent away. So one user, or one network with
 * many users, never keeps others out, however slowly it sends.
 */

import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { MemoryBudget } from '../memory/memory-budget.ts'

/** Whose body it is. */
export interface Sender {
  /** The user, or what stands for a client without one. */
  user: string
  /** `null`: this machine. */
  network: string | null
}

/** One body on its way. */
export interface BodySlot {
  /** Aborts, with the refusal as its reason, when the body has to give way. */
  readonly signal: AbortSignal
  /** Counts bytes that came. */
  received(bytes: number): void
  /** The body is over. */
  leave(): void
}

export interface BodyGate {
  /** @throws UploadError OVERLOADED when a body of `sender` would find no place */
  check(sender: Sender): void
  /** Counts a body of `sender` until it leaves. @throws UploadError OVERLOADED */
  enter(sender: Sender): BodySlot
}

interface Body extends Sender {
  startedAt: number
  bytes: number
  stop: AbortController
}

// Who waits for room holds a chunk beyond the budget; so much more means that there are very many of them.
const overloadedAt = 1.25
// A body that has just begun has not had the time to be fast.
const minAgeMs = 1000

/** A gate for `most` bodies, whose bytes `budget` counts. */
export function createBodyGate(maxBodies: number, budget: Pick<MemoryBudget, 'limit' | 'used'>): BodyGate {
  const bodies = new Set<Body>()
  const users = new Map<string, number>()
  const networks = new Map<string, number>()

  /** The body that gives way to one of `sender`; `null`: there is a place. @throws UploadError when none does */
  function chooseEvicted(sender: Sender): Body | null {
    if (budget.used > budget.limit * overloadedAt) throw overloaded('MEMORY_BUDGET')
    if (bodies.size < maxBodies) return null
    const user = largestCount(users)
    if (user && user.count > (users.get(sender.user) ?? 0) + 1) return slowest((body) => body.user === user.name)
    const network = largestCount(networks)
    const own = sender.network === null ? 0 : (networks.get(sender.network) ?? 0)
    if (network && network.count > own + 1) return slowest((body) => body.network === network.name)
    throw overloaded('BODIES_AT_ONCE')
  }

  function slowest(isMeant: (body: Body) => boolean): Body {
    const now = performance.now()
    const speed = ({ bytes, startedAt }: Body) => bytes / Math.max(minAgeMs, now - startedAt)
    let found: Body | undefined
    for (const body of bodies) if (isMeant(body) && (!found || speed(body) < speed(found))) found = body
    return found!
  }

  function remove(body: Body): void {
    if (!bodies.delete(body)) return
    count(users, body.user, -1)
    if (body.network !== null) count(networks, body.network, -1)
  }

  return {
    check: (sender) => void chooseEvicted(sender),
    enter(sender) {
      const evicted = chooseEvicted(sender)
      if (evicted) {
        remove(evicted)
        evicted.stop.abort(overloaded('BODIES_AT_ONCE'))
      }
      const stop = new AbortController()
      const slot: BodySlot = {
        signal: stop.signal,
        received(bytes) {
          body.bytes += bytes
        },
        leave: () => remove(body),
      }
      const body: Body = { ...sender, startedAt: performance.now(), bytes: 0, stop }
      bodies.add(body)
      count(users, body.user, 1)
      if (body.network !== null) count(networks, body.network, 1)
      return slot
    },
  }
}

function count(counts: Map<string, number>, name: string, by: number): void {
  const now = (counts.get(name) ?? 0) + by
  if (now > 0) counts.set(name, now)
  else counts.delete(name)
}

function largestCount(counts: Map<string, number>): { name: string; count: number } | null {
  let most: { name: string; count: number } | null = null
  for (const [name, count] of counts) if (count > (most?.count ?? 0)) most = { name, count }
  return most
}

function overloaded(rule: string): UploadError {
  return errors.overloaded({ rule })
}
