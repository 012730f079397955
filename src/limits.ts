import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import type { EngineOptions } from './core/engine-options.ts'
import { effectivePolicy, largestSize, type Policy, type PolicyDocument } from './core/policy/policy.ts'
import { createRates } from './core/policy/rate.ts'
import { creationRules } from './core/rules/index.ts'
import type { Actor } from './core/upload.ts'
import type { Database } from './db/open.ts'
import { findUsageOf } from './db/usage.ts'
import { forgetAudit, sealAudit } from './features/audit/chain.ts'
import { writeAudit } from './features/audit/log.ts'
import { auditPlugin } from './features/audit/plugin.ts'
import { createRefusalLog } from './features/audit/refusals.ts'
import { openPolicyBook } from './features/policies/book.ts'
import { adminExplainPlugin, type ExplainOptions, explainPlugin } from './features/policies/explain.ts'
import { policiesPlugin } from './features/policies/plugin.ts'
import { quotaLines } from './features/policies/quota-lines.ts'
import { applyToRunning } from './features/policies/running.ts'
import { policyVersionsIn } from './features/policies/versions.ts'
import { adminUsagePlugin, usagePlugin } from './features/quotas/plugin.ts'
import { originOf } from './http/identity/origin.ts'
import { type AddressLimit, limitAddresses, limitCreations, limitUsers } from './http/limits.ts'
import { actorIfKnown, adminRouteOf, hearRefusals, namedUpload } from './http/refused.ts'

export interface LimitsOptions {
  database: Database
  /** What the chain of the audit log is signed with. */
  secret: string
  /** Bytes; the largest object that the store takes. */
  maxObjectSize: number
  log: FastifyBaseLogger
  onFault(error: unknown): void
}

/** Who may upload how much, and the record of it, put together for one server. */
export interface Limits {
  /** What holds now. */
  policies(): PolicyDocument
  /** Bytes; the largest file that anybody may send, for those who ask before they say who they are. */
  maxSize(): number
  /** What the engine asks before a creation. */
  admitCreation: EngineOptions['admitCreation']
  /** Counts a request by where it comes from, before its sender is known. @throws UploadError RATE_LIMITED */
  countAddress: AddressLimit
  /** Counts them by who sends them, afterwards. */
  countUsers(scope: FastifyInstance): void
  /** What users may ask about themselves. */
  registerMine(scope: FastifyInstance): Promise<void>
  /** What administrators may ask and change. */
  registerAdmin(scope: FastifyInstance): Promise<void>
  /** Writes down what `http` refuses. */
  recordRefusals(http: FastifyInstance): void
  /** To be done once a minute. */
  chores: Record<string, () => Promise<void>>
  close(): Promise<void>
}

// Of users and addresses whose requests are counted; some megabytes of memory.
const names = 50_000
const tellChainMs = 3_600_000

/** Opens the policies and everything that holds users and strangers to them. */
export async function openLimits(config: Config, options: LimitsOptions): Promise<Limits> {
  const { database, secret, maxObjectSize, log, onFault } = options
  const versions = policyVersionsIn(database)
  const book = await openPolicyBook({
    database,
    versions,
    seed: config.POLICIES,
    onFault,
    onChange: ({ version, author }) => log.info({ version, author }, 'other policies hold now'),
  })
  if (!config.isDevelopment) sayQuotas(book.current().document, log)
  const rates = createRates(names)
  const refusals = createRefusalLog({ write: (entries) => writeAudit(database, entries), onFault })
  let toldAt = Number.NEGATIVE_INFINITY
  /** Now and then the end of the chain is written where the owner of the database cannot change it. */
  const seal = async (isLast = false) => {
    const { seq, hash } = await sealAudit(database, secret)
    if (seq === 0 || (!isLast && performance.now() - toldAt < tellChainMs)) return
    toldAt = performance.now()
    log.info({ anchor: `${seq}:${hash}` }, 'the audit log is sealed up to here')
  }
  const policies = () => book.current().document
  const policyOf = (actor: Actor): Policy | null => effectivePolicy(policies(), actor)?.policy ?? null
  const usageOf = (actor: Actor) => findUsageOf(database, actor)
  const explain: ExplainOptions = { policies, rules: creationRules, maxObjectSize, usageOf }

  return {
    policies,
    maxSize: () => Math.min(largestSize(policies()), maxObjectSize),
    admitCreation: limitCreations(rates, config.CREATIONS_PER_ADDRESS),
    countAddress: limitAddresses(rates, config.REQUESTS_PER_ADDRESS),
    countUsers: (scope) => limitUsers(scope, rates, (actor) => policyOf(actor)?.requestsPerMinute ?? null),
    async registerMine(scope) {
      await scope.register(explainPlugin, explain)
      await scope.register(usagePlugin, { usageOf, policyOf })
    },
    async registerAdmin(scope) {
      const tellRunning = (document: PolicyDocument) => applyToRunning(database, document, maxObjectSize)
      await scope.register(policiesPlugin, { book, versions, applyToRunning: tellRunning })
      await scope.register(adminExplainPlugin, explain)
      await scope.register(adminUsagePlugin, { database, policyOf })
      await scope.register(auditPlugin, { database })
    },
    recordRefusals(http) {
      hearRefusals(http, (refusal, request) =>
        refusals.note({
          refusal,
          actor: actorIfKnown(request),
          from: originOf(request),
          uploadId: namedUpload(request),
          adminRoute: adminRouteOf(request),
        }),
      )
    },
    chores: {
      'seal-audit': () => seal(),
      'forget-audit': () => forgetAudit(database, secret, config.AUDIT_RETENTION),
    },
    async close() {
      await refusals.close()
      await seal(true).catch(onFault)
      await book.close()
    },
  }
}

/** One line a role at the start of a service: its operator should know what a single user may take. */
function sayQuotas(document: PolicyDocument, log: FastifyBaseLogger): void {
  for (const { role, line, isUnlimited } of quotaLines(document))
    log[isUnlimited ? 'warn' : 'info']({ role }, `policies: ${line}`)
}
