import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import type { EngineOptions } from './core/engine-options.ts'
import { effectivePolicy, largestSize, type Policy, type PolicyDocument } from './core/policy/policy.ts'
import { createRates } from './core/policy/rate.ts'
import { creationRules } from './core/policy/rules/index.ts'
import type { Actor } from './core/upload.ts'
import type { Database } from './db/open.ts'
import { findUsageOf } from './db/usage.ts'
import { forgetAudit, sealAudit } from './features/audit/chain.ts'
import { writeAudit } from './features/audit/log.ts'
import { auditPlugin } from './features/audit/plugin.ts'
import { createRejectionLog } from './features/audit/rejections.ts'
import { applyToActive } from './features/policies/active-uploads.ts'
import { openPolicyCache } from './features/policies/cache.ts'
import { adminExplainPlugin, type ExplainOptions, explainPlugin } from './features/policies/explain.ts'
import { policiesPlugin } from './features/policies/plugin.ts'
import { quotaLines } from './features/policies/quota-lines.ts'
import { policyVersionsIn } from './features/policies/versions.ts'
import { adminUsagePlugin, usagePlugin } from './features/quotas/plugin.ts'
import { actorIfKnown, adminRouteOf, namedUpload, onErrorAnswered } from './http/error-listeners.ts'
import { clientInfoOf } from './http/identity/client-info.ts'
import { type AddressLimit, limitAddresses, limitCreations, limitUsers } from './http/limits.ts'

export interface LimitsOptions {
  database: Database
  /** The secret that signs the chain of the audit log. */
  secret: string
  /** Bytes; the largest object that the store takes. */
  maxObjectSize: number
  log: FastifyBaseLogger
  onError(error: unknown): void
}

/** Policies, quotas, rate limits and the audit log of one server. */
export interface Limits {
  /** The active policies. */
  policies(): PolicyDocument
  /** Bytes; the largest file that any role may send, for clients that ask before they authenticate. */
  maxSize(): number
  /** Called by the engine before a creation. */
  checkCreation: EngineOptions['checkCreation']
  /** Counts a request by its address, before authentication. @throws UploadError RATE_LIMITED */
  countAddress: AddressLimit
  /** Counts requests by user, after authentication. */
  countUsers(scope: FastifyInstance): void
  /** Registers the routes for users about themselves. */
  registerOwn(scope: FastifyInstance): Promise<void>
  /** Registers the routes for administrators. */
  registerAdmin(scope: FastifyInstance): Promise<void>
  /** Adds audit entries for requests that `http` refuses. */
  recordRejections(http: FastifyInstance): void
  /** Jobs to run once a minute. */
  periodicJobs: Record<string, () => Promise<void>>
  close(): Promise<void>
}

// Users and addresses whose requests are counted; takes some megabytes of memory.
const maxRates = 50_000
const logChainMs = 3_600_000

/** Opens the policies and everything that enforces them. */
export async function openLimits(config: Config, options: LimitsOptions): Promise<Limits> {
  const { database, secret, maxObjectSize, log, onError } = options
  const versions = policyVersionsIn(database)
  const policyCache = await openPolicyCache({
    database,
    versions,
    initialPolicies: config.POLICIES,
    onError,
    onChange: ({ version, author }) => log.info({ version, author }, 'another version of the policies is active'),
  })
  if (!config.isDevelopment) logQuotas(policyCache.current().document, log)
  const rates = createRates(maxRates)
  const rejections = createRejectionLog({ write: (entries) => writeAudit(database, entries), onError })
  let loggedAt = Number.NEGATIVE_INFINITY
  /** Seals the audit log, and logs the end of its chain every `logChainMs`: the owner of the database cannot change that line. */
  const seal = async (isLast = false) => {
    const { seq, hash } = await sealAudit(database, secret)
    if (seq === 0 || (!isLast && performance.now() - loggedAt < logChainMs)) return
    loggedAt = performance.now()
    log.info({ anchor: `${seq}:${hash}` }, 'the audit log is sealed up to here')
  }
  const policies = () => policyCache.current().document
  const policyOf = (actor: Actor): Policy | null => effectivePolicy(policies(), actor)?.policy ?? null
  const usageOf = (actor: Actor) => findUsageOf(database, actor)
  const explain: ExplainOptions = { policies, rules: creationRules, maxObjectSize, usageOf }

  return {
    policies,
    maxSize: () => Math.min(largestSize(policies()), maxObjectSize),
    checkCreation: limitCreations(rates, config.CREATIONS_PER_ADDRESS),
    countAddress: limitAddresses(rates, config.REQUESTS_PER_ADDRESS),
    countUsers: (scope) => limitUsers(scope, rates, (actor) => policyOf(actor)?.requestsPerMinute ?? null),
    async registerOwn(scope) {
      await scope.register(explainPlugin, explain)
      await scope.register(usagePlugin, { usageOf, policyOf })
    },
    async registerAdmin(scope) {
      const apply = (document: PolicyDocument) => applyToActive(database, document, maxObjectSize)
      await scope.register(policiesPlugin, { cache: policyCache, versions, applyToActive: apply })
      await scope.register(adminExplainPlugin, explain)
      await scope.register(adminUsagePlugin, { database, policyOf })
      await scope.register(auditPlugin, { database })
    },
    recordRejections(http) {
      onErrorAnswered(http, (error, request) =>
        rejections.note({
          error,
          actor: actorIfKnown(request),
          client: clientInfoOf(request),
          uploadId: namedUpload(request),
          adminRoute: adminRouteOf(request),
        }),
      )
    },
    periodicJobs: {
      'seal-audit': () => seal(),
      'forget-audit': () => forgetAudit(database, secret, config.AUDIT_RETENTION),
    },
    async close() {
      await rejections.close()
      await seal(true).catch(onError)
      await policyCache.close()
    },
  }
}

/** Logs one line per role when a service starts: the operator should know what a single user may take. */
function logQuotas(document: PolicyDocument, log: FastifyBaseLogger): void {
  for (const { role, line, isUnlimited } of quotaLines(document))
    log[isUnlimited ? 'warn' : 'info']({ role }, `policies: ${line}`)
}
