import type { Feature, FeatureDeps } from '../feature.ts'
import { forgetActivity, recordActivity } from './activity.ts'
import { activityPlugin } from './plugin.ts'

/** Records throughput and errors of this server, and shows administrators those of all servers over time. */
export function createActivity({ database, totals, onError }: FeatureDeps): Feature {
  return {
    adminRoutes: (scope) => activityPlugin(scope, { database }),
    jobs: [{ name: 'forget-activity', every: 'minute', run: () => forgetActivity(database) }],
    close: recordActivity({ database, read: totals, onError }),
  }
}
