/*
 * What a request is held to before anything is done for it. Requests are counted in the memory of this server: a count in
 * the database would cost what it is meant to save.
 */
import type { FastifyInstance } from 'fastify'
import { UploadError } from '../core/errors.ts'
import { type Rates, retryAfter } from '../core/policy/rate.ts'
import { type Actor, wordFor } from '../core/upload.ts'
import { neighbourhoodOf } from './identity/origin.ts'

/** Lets so many requests a minute come from one address; 0: any number. Checks of the server's health are not counted. */
export function limitAddresses(app: FastifyInstance, rates: Rates, perMinute: number): void {
  if (perMinute === 0) return
  app.addHook('onRequest', async ({ ip, routeOptions }) => {
    const name = routeOptions.config.isQuiet ? null : neighbourhoodOf(ip)
    if (name === null) return
    const waitMs = rates.count(`request from ${name}`, perMinute)
    if (waitMs > 0) throw tooMany('Too many requests come from your address.', { rule: 'REQUESTS_PER_ADDRESS', waitMs })
  })
}

/** Lets a user of this scope ask so often a minute as `perMinuteOf` says; `null`: any number. */
export function limitUsers(app: FastifyInstance, rates: Rates, perMinuteOf: (actor: Actor) => number | null): void {
  app.addHook('onRequest', async (request) => {
    if (request.method === 'OPTIONS') return
    const { actor } = request
    const perMinute = perMinuteOf(actor)
    if (perMinute === null) return
    const waitMs = rates.count(`request of ${wordFor(actor)}`, perMinute)
    if (waitMs > 0)
      throw tooMany(`You may ask at most ${perMinute} times a minute.`, { rule: 'requestsPerMinute', waitMs })
  })
}

/** A gate for creations: so many a minute from one address; 0: any number. */
export function limitCreations(rates: Rates, perMinute: number): (actor: Actor) => void {
  return ({ from }) => {
    const name = perMinute > 0 && from ? neighbourhoodOf(from.address) : null
    if (name === null) return
    const waitMs = rates.count(`creation from ${name}`, perMinute)
    if (waitMs > 0)
      throw tooMany('Too many uploads are begun from your address.', { rule: 'CREATIONS_PER_ADDRESS', waitMs })
  }
}

function tooMany(message: string, { rule, waitMs }: { rule: string; waitMs: number }): UploadError {
  return new UploadError('RATE_LIMITED', message, { rule, retryAfter: retryAfter(waitMs) })
}
