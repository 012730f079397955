import { z } from 'zod'
import { storeGroups, storeSettings } from '../stores/index.ts'
import { checks } from './settings/checks.ts'
import { database } from './settings/database.ts'
import { downloads } from './settings/downloads.ts'
import { identity } from './settings/identity.ts'
import { limits } from './settings/limits.ts'
import { serving } from './settings/serving.ts'
import { uploads } from './settings/uploads.ts'
import { webhooks } from './settings/webhooks.ts'

/** Every setting by its group, in the order of `.env.example`. */
export const groups = {
  Serving: serving,
  'Identity and policies': identity,
  'Limits of a server': limits,
  Database: database,
  Uploads: uploads,
  Webhooks: webhooks,
  Downloads: downloads,
  Checks: checks,
  ...storeGroups(),
}

/** The schema of all settings together. */
export const settings = z.object({
  ...serving,
  ...identity,
  ...limits,
  ...database,
  ...uploads,
  ...webhooks,
  ...downloads,
  ...checks,
  ...storeSettings,
})

/** The settings as they were given, or their defaults. */
export type Settings = z.output<typeof settings>
