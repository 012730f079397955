import type { Feature, FeatureDeps } from '../feature.ts'
import { keysIn } from './keys.ts'
import { keysPlugin } from './plugin.ts'

/** API keys for services: accepts them as bearer tokens, and lets administrators create and revoke them. */
export async function createApiKeys({ database, policies, now, log, onError }: FeatureDeps): Promise<Feature> {
  const keys = await keysIn({ database, now, onError })
  return {
    checkToken: keys.identify,
    authorize: keys.authorize,
    adminRoutes: (scope) =>
      keysPlugin(scope, {
        keys,
        now,
        roles: () => Object.keys(policies.current().document.roles),
        onChange: ({ event, key, by, from }) => log.info({ keyId: key.id, keyName: key.name, by, from }, event),
      }),
    close: keys.close,
  }
}
