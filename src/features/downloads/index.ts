import type { RunningEngine } from '../../core/engine.ts'
import { createFairShare } from '../../core/fair-share.ts'
import type { Feature, FeatureDeps } from '../feature.ts'
import { linkTokens } from './links.ts'
import { type DownloadsOptions, filesPlugin, linksPlugin } from './plugin.ts'

interface Settings {
  DOWNLOADS: 'proxy' | 'redirect'
  DOWNLOADS_AT_ONCE: number
  LINK_MAX_LIFETIME: number
  FILES_ORIGIN?: string | undefined
  PUBLIC_URL?: string | undefined
}

/** Serves completed files to their owners, and to clients with a link. */
export function createDownloads({ settings, secrets, store, now }: FeatureDeps<Settings>): Feature {
  const { DOWNLOADS, DOWNLOADS_AT_ONCE, LINK_MAX_LIFETIME, FILES_ORIGIN, PUBLIC_URL } = settings
  const downloads = { store, places: createFairShare(DOWNLOADS_AT_ONCE), redirects: DOWNLOADS === 'redirect' }
  const options = (engine: RunningEngine): DownloadsOptions => ({
    engine,
    downloads,
    links: linkTokens(secrets),
    now,
    maxLifetimeMs: LINK_MAX_LIFETIME,
    publicUrl: PUBLIC_URL,
    filesOrigin: FILES_ORIGIN,
  })
  return {
    routes: (scope, engine) => filesPlugin(scope, options(engine)),
    openRoutes: (scope, engine) => linksPlugin(scope, options(engine)),
  }
}
