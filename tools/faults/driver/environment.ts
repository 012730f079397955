/*
 * The environment of a round: server processes with one Postgres and one store, each behind a proxy that injects faults, and direct
 * connections to both by which the results are checked.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import pg from 'pg'
import { loadConfig } from '../../../src/config.ts'
import type { ObjectStore } from '../../../src/core/ports/object-store.ts'
import { openStore } from '../../../src/stores/index.ts'
import { type FaultProxy, startFaultProxy } from '../../../test/support/fault-proxy.ts'
import { type NodeProcess, startNodeProcess } from '../../../test/support/node-process.ts'
import { freshDatabase } from '../../../test/support/postgres.ts'
import { type S3StandIn, startS3StandIn } from '../../../test/support/s3-stand-in.ts'
import type { Seeded } from '../../../test/support/seeded.ts'
import { headersOf, testSecret } from '../../../test/support/tus-file.ts'
import type { StoreKind } from './plan.ts'

export interface Environment {
  nodes: NodeProcess[]
  kind: StoreKind
  /** Connects directly, past the proxy. */
  pool: pg.Pool
  databaseUrl: string
  store: ObjectStore
  /** The environment variables of a server that connects directly, past the proxies. */
  settings: Record<string, string>
  proxies: { database: FaultProxy; s3: FaultProxy | null }
  standIn: S3StandIn | null
  /** Keys whose multipart uploads the bucket has aborted: only these uploads may be lost. */
  aborted: Set<string>
  headers: Record<string, string>
  /** The URL of one of the nodes, running or not. */
  anyNode(random: Seeded): string
  /** Why upload `id` is not complete, as its client was just answered. `null`: it is. */
  whyIncomplete(id: string, size: number): Promise<string | null>
  /** Keys of the open multipart uploads under the prefix of this round. */
  openMultiparts(): Promise<string[]>
  close(): Promise<void>
}

export interface EnvironmentOptions {
  kind: StoreKind
  nodes: number
  /** Becomes the prefix of this round in a shared bucket. */
  name: string
  memoryBudget: string
}

const compiled = join(tmpdir(), 'landfall-faults-compiled')

/** Opens database, store and proxies, and starts the servers. */
export async function openEnvironment({
  kind,
  nodes: count,
  name,
  memoryBudget,
}: EnvironmentOptions): Promise<Environment> {
  const database = await freshDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'landfall-faults-'))
  const standIn = kind === 's3' ? await startS3StandIn({ equalParts: true, keep: { directory } }) : null
  const bucket = kind === 'local' ? null : (standIn ?? realBucket())
  const proxies = {
    database: await startFaultProxy(database.url),
    s3: bucket && (await startFaultProxy(bucket.endpoint)),
  }
  const settings: Record<string, string> = {
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    DATA_DIR: directory,
    JWT_SECRET: testSecret,
    LOG_LEVEL: 'warn',
    MEMORY_BUDGET: memoryBudget,
    // Short, so that the leases of killed servers and requests that hang end soon.
    LEASE_TTL: '2s',
    // Faults abort multipart uploads: their loss must be confirmed within a round.
    LOSS_CONFIRM: '1s',
    LOCK_WAIT: '3s',
    FINISH_WAIT: '3s',
    BODY_IDLE_TIMEOUT: '3s',
    DATABASE_TIMEOUT: '2s',
    ...(bucket
      ? {
          STORE: 's3',
          PART_SIZE: '5MiB',
          CHUNK_SIZE: '5MiB',
          S3_ENDPOINT: bucket.endpoint,
          S3_BUCKET: bucket.bucket,
          S3_ACCESS_KEY_ID: bucket.accessKeyId,
          S3_SECRET_ACCESS_KEY: bucket.secretAccessKey,
          S3_PREFIX: `${name}/`,
        }
      : { STORE: 'local', PART_SIZE: '256KiB', CHUNK_SIZE: '256KiB' }),
  }
  const config = loadConfig(settings)
  const store = openStore(config.STORE, config)
  const pool = new pg.Pool({ connectionString: database.url, max: 4 })
  // The database is dropped at the end, which breaks idle connections.
  pool.on('error', () => {})
  const nodes = await Promise.all(
    Array.from({ length: count }, () =>
      startNodeProcess({
        environment: {
          ...settings,
          DATABASE_URL: proxies.database.inFrontOf(database.url),
          ...(proxies.s3 && { S3_ENDPOINT: proxies.s3.endpoint }),
          // Servers start a thousand times in a run.
          NODE_COMPILE_CACHE: compiled,
        },
      }),
    ),
  )
  const s3 =
    bucket &&
    new S3Client({
      endpoint: bucket.endpoint,
      region: bucket.region,
      forcePathStyle: true,
      credentials: { accessKeyId: bucket.accessKeyId, secretAccessKey: bucket.secretAccessKey },
    })

  return {
    nodes,
    kind,
    pool,
    databaseUrl: database.url,
    store,
    settings,
    proxies,
    standIn,
    aborted: new Set(),
    headers: { 'tus-resumable': '1.0.0', ...(await headersOf()) },
    anyNode: (random) => random.pick(nodes).url,
    async whyIncomplete(id, size) {
      const { rows } = await pool.query('select state, key, size from upload_sessions where id = $1', [id])
      const [row] = rows
      if (row?.state !== 'completed') return `the upload is ${row?.state}`
      const info = await store.stat(row.key)
      if (!info) return 'there is no object'
      return info.size === size ? null : `the object has ${info.size} bytes and not ${size}`
    },
    async openMultiparts() {
      if (!s3) return []
      const { Uploads = [] } = await s3.send(
        new ListMultipartUploadsCommand({ Bucket: bucket!.bucket, Prefix: `${name}/` }),
      )
      return Uploads.map((upload) => upload.Key!.slice(name.length + 1))
    },
    async close() {
      await Promise.all(nodes.map((node) => node.kill()))
      await store.close()
      s3?.destroy()
      await pool.end()
      await proxies.database.close()
      await proxies.s3?.close()
      await standIn?.close()
      await database.dispose()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function realBucket() {
  const { TEST_S3_ENDPOINT, TEST_S3_REGION, TEST_S3_BUCKET, TEST_S3_ACCESS_KEY_ID, TEST_S3_SECRET_ACCESS_KEY } =
    process.env
  if (!TEST_S3_ENDPOINT) throw new Error('--store ceph needs TEST_S3_ENDPOINT: see test/support/servers/ceph.sh')
  return {
    endpoint: TEST_S3_ENDPOINT,
    region: TEST_S3_REGION ?? 'us-east-1',
    bucket: TEST_S3_BUCKET ?? '',
    accessKeyId: TEST_S3_ACCESS_KEY_ID ?? '',
    secretAccessKey: TEST_S3_SECRET_ACCESS_KEY ?? '',
  }
}
