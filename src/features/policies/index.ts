import type { FastifyInstance } from 'fastify'
import { creationRules } from '../../core/policy/rules/index.ts'
import { findUsageOf } from '../../db/usage.ts'
import type { Feature, FeatureDeps } from '../feature.ts'
import { applyToActive } from './active-uploads.ts'
import { adminExplainPlugin, type ExplainOptions, explainPlugin } from './explain.ts'
import { policiesPlugin } from './plugin.ts'
import { quotaLines } from './quota-lines.ts'

/** Shows and changes the policies, and explains what they allow. A service logs at its start what a single user of each role may take. */
export function createPolicies({
  settings: { isDevelopment },
  database,
  policies,
  policyVersions: versions,
  maxObjectSize,
  log,
}: FeatureDeps<{ isDevelopment: boolean }>): Feature {
  const current = () => policies.current().document
  const explain: ExplainOptions = {
    policies: current,
    rules: creationRules,
    maxObjectSize,
    usageOf: (actor) => findUsageOf(database, actor),
  }
  if (!isDevelopment)
    for (const { role, line, isUnlimited } of quotaLines(current()))
      log[isUnlimited ? 'warn' : 'info']({ role }, `policies: ${line}`)

  return {
    routes: (scope) => explainPlugin(scope, explain),
    async adminRoutes(scope) {
      const ofVersions = (own: FastifyInstance) =>
        policiesPlugin(own, {
          cache: policies,
          versions,
          applyToActive: (document) => applyToActive(database, document, maxObjectSize),
        })
      await scope.register(ofVersions)
      await scope.register(adminExplainPlugin, explain)
    },
  }
}
