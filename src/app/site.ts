import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import type { Database } from '../db/open.ts'
import { writeAudit } from '../features/audit/log.ts'
import { openapiPlugin } from '../http/api/openapi.ts'
import { bringsToken } from '../http/identity/bearer.ts'
import { signToken } from '../http/identity/secret.ts'
import { type SignInOptions, signInPlugin } from '../http/identity/sign-in.ts'
import { redeemSignInCode } from '../http/identity/sign-in-codes.ts'
import { pagePlugin } from '../http/static.ts'
import { metricsPlugin } from '../telemetry/http.ts'
import { version } from '../version.ts'
import { signInFolder, tokenRules } from './development.ts'
import type { Opened } from './mount.ts'

// Found through package.json, which is the same for the sources and for the bundle.
const pageFolder = join(dirname(findPackageJSON('..', import.meta.url) ?? ''), 'dist', 'web')

/** Registers what a server of its own has beside the uploads: the description of its API, the pages, metrics, and the sign-in. */
export async function registerSite(
  http: FastifyInstance,
  config: Config,
  { database, secret, now, metricsRoute }: Opened,
): Promise<void> {
  // Before the routes that it describes.
  if (config.API_DOCS ?? config.isDevelopment) await http.register(openapiPlugin, { version })
  const { METRICS_TOKEN: metricsToken } = config
  // Without METRICS_TOKEN and METRICS_PORT there is no such route: the address of a request proves nothing.
  if (config.METRICS_PORT === undefined && metricsToken !== undefined) {
    await http.register(metricsPlugin, { ...metricsRoute, mayRead: (request) => bringsToken(request, metricsToken) })
  }
  await http.register(pagePlugin, { folder: pageFolder })
  if (config.isDevelopment) await http.register(signInPlugin, { ...signInOf(config, database, secret), now })
}

/** The sign-in of the page in development mode: codes in DATA_DIR, and an audit entry for each token before it is issued. */
function signInOf(config: Config, database: Database, secret: string): Omit<SignInOptions, 'now'> {
  const folder = signInFolder(config)
  return {
    redeem: (code, now) => redeemSignInCode(folder, code, now),
    sign: (actor, seconds) => signToken(secret, actor, seconds, tokenRules(config)),
    onIssue: (by) =>
      writeAudit(database, [{ action: 'token.issue', isAllowed: true, by, note: 'sign-in link of development mode' }]),
  }
}
