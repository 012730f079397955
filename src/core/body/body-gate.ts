/*
 * Limits how many bodies are received at once. Until the gate is full, a user may send any number of bodies. When it is full, a new body
 * replaces the slowest body of the user with the most bodies, if that user has more than the new body's user will have; otherwise the
 * slowest body of the network with the most bodies, under the same condition; otherwise the new body is refused. So one user, or one
 * network with many users, cannot lock the others out by sending many slow bodies.
 */

import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { MemoryBudget } from '../memory/memory-budget.ts'

/** Whose body it is. */
export interface Sender {
  /** The key of the user, or of a client without one. */
  user: string
  /** `null`: this machine. */
  network: string | null
}

/** The place of one body. */
export interface BodySlot {
  /** Aborts with an UploadError as its reason when another body replaces this one. */
  readonly signal: AbortSignal
  /** Counts bytes that arrived. */
  received(bytes: number): void
  /** The body has ended. */
  leave(): void
}

export interface BodyGate {
  /** @throws UploadError OVERLOADED when a body of `sender` would be refused */
  check(sender: Sender): void
  /** Counts a body of `sender` until it leaves. @throws UploadError OVERLOADED */
  enter(sender: Sender): BodySlot
}

interface Body extends Sender {
  startedAt: number
  bytes: number
  stop: AbortController
}

// Each body that waits for room has one chunk in memory beyond the budget; more than a quarter beyond it means very many bodies.
const overloadedAt = 1.25
// Speed is measured over at least this long, or its first chunk would make a new body look fast.
const minAgeMs = 1000

/** A gate for `maxBodies` bodies, whose bytes `budget` counts. */
export function createBodyGate(maxBodies: number, budget: Pick<MemoryBudget, 'limit' | 'used'>): BodyGate {
  const bodies = new Set<Body>()
  const users = new Map<string, number>()
  const networks = new Map<string, number>()

  /** The body that one of `sender` replaces; `null`: there is a free place. @throws UploadError OVERLOADED */
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

  function slowest(isCandidate: (body: Body) => boolean): Body {
    const now = performance.now()
    const speed = ({ bytes, startedAt }: Body) => bytes / Math.max(minAgeMs, now - startedAt)
    let found: Body | undefined
    for (const body of bodies) if (isCandidate(body) && (!found || speed(body) < speed(found))) found = body
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
  let largest: { name: string; count: number } | null = null
  for (const [name, count] of counts) if (count > (largest?.count ?? 0)) largest = { name, count }
  return largest
}

function overloaded(rule: string): UploadError {
  return errors.overloaded({ rule })
}
