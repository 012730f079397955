import { effectivePolicy } from '../../core/policy/policy.ts'
import { createRates } from '../../core/policy/rate.ts'
import { enforceAddressLimit, limitAddresses, limitCreations, limitUsers } from '../../http/limits.ts'
import type { Feature, FeatureDeps } from '../feature.ts'

// Users and addresses whose requests are counted; takes some megabytes of memory.
const maxRates = 50_000

/** Limits the requests of addresses and of users, and the creations of addresses, on this server. */
export function createRateLimits({
  settings: { REQUESTS_PER_ADDRESS, CREATIONS_PER_ADDRESS },
  policies,
}: FeatureDeps<{ REQUESTS_PER_ADDRESS: number; CREATIONS_PER_ADDRESS: number }>): Feature {
  const rates = createRates(maxRates)
  const countAddress = limitAddresses(rates, REQUESTS_PER_ADDRESS)
  return {
    hooks: (http) => enforceAddressLimit(http, countAddress),
    userHooks: (scope) =>
      limitUsers(
        scope,
        rates,
        (actor) => effectivePolicy(policies.current().document, actor)?.policy.requestsPerMinute ?? null,
      ),
    checkCreation: limitCreations(rates, CREATIONS_PER_ADDRESS),
  }
}
