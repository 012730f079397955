import type { Feature, FeatureDeps } from '../feature.ts'
import { adminUploadsPlugin } from './plugin.ts'

/** Shows administrators the uploads of all owners, and lets them cancel, complete and expire uploads. */
export function createAdminUploads({ database, objectUrlOf }: FeatureDeps): Feature {
  return {
    adminRoutes: (scope, engine) => adminUploadsPlugin(scope, { database, engine, objectUrlOf }),
  }
}
