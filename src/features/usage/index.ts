import { effectivePolicy } from '../../core/policy/policy.ts'
import type { Actor } from '../../core/upload.ts'
import { findUsageOf } from '../../db/usage.ts'
import type { Feature, FeatureDeps } from '../feature.ts'
import { adminUsagePlugin, usagePlugin } from './plugin.ts'

/** Shows users their usage and limits, and administrators those of all users. */
export function createUsage({ database, policies }: FeatureDeps): Feature {
  const policyOf = (actor: Actor) => effectivePolicy(policies.current().document, actor)?.policy ?? null
  return {
    routes: (scope) => usagePlugin(scope, { usageOf: (actor) => findUsageOf(database, actor), policyOf }),
    adminRoutes: (scope) => adminUsagePlugin(scope, { database, policyOf }),
  }
}
