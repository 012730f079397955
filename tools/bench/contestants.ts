import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freshDatabase } from '../../test/support/postgres.ts'
import { testSecret } from '../../test/support/tus-file.ts'
import type { Case } from './cases.ts'
import type { ContestantKind, Plan } from './plan.ts'

/** The S3 server that a case is measured against. */
export interface Target {
  endpoint: string
  bucket: string
  accessKeyId: string
  secretAccessKey: string
  region: string
}

/** What a server process is started with. */
export interface Launch {
  script: string
  environment: Record<string, string>
  nodeFlags?: string[]
  /** Drops its database. */
  dispose(): Promise<void>
}

// The flags of bin/launch.mjs and docker/Dockerfile.
const ourFlags = ['--max-semi-space-size=16']
/** Bytes that all workers together may buffer: `/metrics` shows them when every worker listens. */
export const budgetOfWorkers = 448 * 1024 ** 2
export const metricsToken = 'a-token-for-the-benchmark'
const asWorkers = { WORKERS: '2', MEMORY_BUDGET: `${budgetOfWorkers / 1024 ** 2}MiB`, METRICS_TOKEN: metricsToken }
const root = fileURLToPath(new URL('../..', import.meta.url))
const peers = fileURLToPath(new URL('./peers', import.meta.url))

/** The entry of Landfall: the build, unless the source is newer. */
export function ourEntry(): string {
  const built = join(root, 'dist/server.js')
  const isFresh = existsSync(built) && newest(join(root, 'src')) <= statSync(built).mtimeMs
  return isFresh ? built : join(root, 'src/main.ts')
}

/** How a contestant is started for a case. `directory` is empty and used by no other process. */
export async function launchOf(
  kind: ContestantKind,
  { store, isEmbedded, environment: settings }: Case,
  target: Target,
  directory: string,
  plan: Plan,
): Promise<Launch> {
  const bucket = {
    S3_ENDPOINT: target.endpoint,
    S3_BUCKET: target.bucket,
    S3_ACCESS_KEY_ID: target.accessKeyId,
    S3_SECRET_ACCESS_KEY: target.secretAccessKey,
    S3_REGION: target.region,
    ...(plan.s3 ? { S3_PLAIN: 'yes' } : {}),
  }
  // A prefix of its own: the store of another launch belongs to another database.
  const prefix = { S3_PREFIX: `${randomUUID()}/` }
  const environment = { DATA_DIR: directory, ...(store === 's3' ? { ...bucket, ...prefix } : {}) }
  const nothing = async () => {}
  const bound = store === 's3' ? 'pipe.ts' : 'appends.ts'
  if (kind === 'bound') return { script: join(peers, bound), environment, dispose: nothing }
  if (kind === 'peer') return { script: join(peers, `tus-${store}.ts`), environment, dispose: nothing }
  const ours = { script: kind === 'before' ? plan.before! : ourEntry(), nodeFlags: ourFlags }
  const workers = kind === 'workers' ? asWorkers : { WORKERS: '1' }
  if (isEmbedded) {
    // Development mode: the server brings its database, and reads the secret of tokens from this file.
    await writeFile(join(directory, 'jwt-secret'), testSecret, { mode: 0o600 })
    return { ...ours, environment: { ...environment, STORE: store, ...settings }, dispose: nothing }
  }
  const database = await freshDatabase()
  return {
    ...ours,
    environment: {
      ...environment,
      STORE: store,
      JWT_SECRET: testSecret,
      ...settings,
      ...workers,
      NODE_ENV: 'production',
      DATABASE_URL: database.url,
    },
    dispose: database.dispose,
  }
}

function newest(path: string): number {
  const stats = statSync(path)
  if (!stats.isDirectory()) return stats.mtimeMs
  return Math.max(...readdirSync(path).map((name) => newest(join(path, name))))
}
