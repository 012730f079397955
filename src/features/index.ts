/* The features of a server, in order. Adding one is a folder with `create<Name>` in its `index.ts`, and a line here. */
import { createActivity } from './activity/index.ts'
import { createAdminUploads } from './admin-uploads/index.ts'
import { createApiKeys } from './api-keys/index.ts'
import { createAudit } from './audit/index.ts'
import { createDownloads } from './downloads/index.ts'
import { createLiveEvents } from './live-events/index.ts'
import { createOperatorHooks } from './operator-hooks/index.ts'
import { createPolicies } from './policies/index.ts'
import { createRateLimits } from './rate-limits/index.ts'
import { createSteps } from './steps/index.ts'
import { createUsage } from './usage/index.ts'
import { createWebhooks } from './webhooks/index.ts'

export const features = [
  createAudit,
  createPolicies,
  createRateLimits,
  createUsage,
  createApiKeys,
  createOperatorHooks,
  createLiveEvents,
  createAdminUploads,
  createActivity,
  createWebhooks,
  createDownloads,
  createSteps,
] as const
