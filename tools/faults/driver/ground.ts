/*
 * What a round runs on: servers in processes, over one Postgres and one store, behind wires that can go bad; and the way
 * around those wires by which the truth is looked up.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import pg from 'pg'
import { loadConfig } from '../../../src/config.ts'
import type { ObjectStore } from '../../../src/core/ports.ts'
import { openStore } from '../../../src/stores/index.ts'
import { type FaultProxy, startFaultProxy } from '../../../test/support/fault-proxy.ts'
import { type NodeProcess, startNodeProcess } from '../../../test/support/node-process.ts'
import { freshDatabase } from '../../../test/support/postgres.ts'
import { type S3StandIn, startS3StandIn } from '../../../test/support/s3-stand-in.ts'
import type { Seeded } from '../../../test/support/seeded.ts'
import { headersOf, testSecret } from '../../../test/support/tus-file.ts'
import type { StoreKind } from './plan.ts'

export interface Ground {
  nodes: NodeProcess[]
  kind: StoreKind
  /** Around the wires. */
  truth: pg.Pool
  databaseUrl: string
  store: ObjectStore
  /** The environment of a server that is spared all faults. */
  environment: Record<string, string>
  wires: { database: FaultProxy; s3: FaultProxy | null }
  standIn: S3StandIn | null
  /** Keys whose multipart uploads the bucket has aborted: these uploads alone may be lost. */
  aborted: Set<string>
  headers: Record<string, string>
  /** The URL of one of the nodes, alive or not. */
  anyNode(chance: Seeded): string
  /** Why upload `id` is not what its client was just told: whole. `null`: it is. */
  faultOfClaim(id: string, size: number): Promise<string | null>
  /** Keys of multipart uploads that are open under our prefix. */
  openMultiparts(): Promise<string[]>
  close(): Promise<void>
}

export interface GroundOptions {
  kind: StoreKind
  nodes: number
  /** Names this round's prefix in a bucket that others use. */
  name: string
  memoryBudget: string
}

const compiled = join(tmpdir(), 'landfall-faults-compiled')

/** Opens database, store, wires and servers. */
export async function openGround({ kind, nodes: count, name, memoryBudget }: GroundOptions): Promise<Ground> {
  const database = await freshDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'landfall-faults-'))
  const standIn = kind === 's3' ? await startS3StandIn({ equalParts: true, keep: { directory } }) : null
  const bucket = kind === 'local' ? null : (standIn ?? realBucket())
  const wires = {
    database: await startFaultProxy(database.url),
    s3: bucket && (await startFaultProxy(bucket.endpoint)),
  }
  const environment: Record<string, string> = {
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    DATA_DIR: directory,
    JWT_SECRET: testSecret,
    LOG_LEVEL: 'warn',
    MEMORY_BUDGET: memoryBudget,
    // Short, so that a round has many lives: what was killed is taken over soon, what hangs is given up soon.
    LEASE_TTL: '2s',
    // The storm aborts multipart uploads: their loss is to be established within the time of a run.
    LOSS_CONFIRM: '1s',
    LOCK_WAIT: '3s',
    FINISH_WAIT: '3s',
    BODY_IDLE_TIMEOUT: '3s',
    DATABASE_PATIENCE: '2s',
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
  const config = loadConfig(environment)
  const store = openStore(config.STORE, config)
  const truth = new pg.Pool({ connectionString: database.url, max: 4 })
  // The database is taken away at the end, with whatever connections are idle then.
  truth.on('error', () => {})
  const nodes = await Promise.all(
    Array.from({ length: count }, () =>
      startNodeProcess({
        environment: {
          ...environment,
          DATABASE_URL: wires.database.inFrontOf(database.url),
          ...(wires.s3 && { S3_ENDPOINT: wires.s3.endpoint }),
          // A server that starts a thousand times need not be compiled a thousand times.
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
    truth,
    databaseUrl: database.url,
    store,
    environment,
    wires,
    standIn,
    aborted: new Set(),
    headers: { 'tus-resumable': '1.0.0', ...(await headersOf()) },
    anyNode: (chance) => chance.pick(nodes).url,
    async faultOfClaim(id, size) {
      const { rows } = await truth.query('select state, key, size from upload_sessions where id = $1', [id])
      const [row] = rows
      if (row?.state !== 'completed') return `the session says ${row?.state}`
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
      await truth.end()
      await wires.database.close()
      await wires.s3?.close()
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
