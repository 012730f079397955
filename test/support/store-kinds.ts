import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { localStore } from '../../src/stores/local.ts'
import { type S3Options, s3Options } from '../../src/stores/s3/options.ts'
import { s3Store } from '../../src/stores/s3/store.ts'
import { memoryStore } from './memory-store.ts'
import { realS3 } from './real-s3.ts'
import { startS3StandIn } from './s3-stand-in.ts'
import { type TroubledStore, troubled } from './troubled-store.ts'

/** The kinds of stores: in memory with small parts, on disk, and in S3. */
export const everyKind = ['memory', 'local', 's3'] as const

export type StoreKind = (typeof everyKind)[number]

export interface OpenStore extends TroubledStore {
  /** The number of open multipart uploads. */
  openMultiparts(): Promise<number>
  /** Removes the store with its content. */
  dispose(): Promise<void>
}

/** An empty store. For S3 it uses the real server of TEST_S3_ENDPOINT if that is set, else the stand-in. */
export async function openStoreOf(kind: StoreKind): Promise<OpenStore> {
  if (kind === 'local') return openFolder()
  if (kind === 's3') return openBucket()
  const store = memoryStore()
  return Object.assign(store, { openMultiparts: async () => store.multiparts.size, dispose: async () => {} })
}

async function openFolder(): Promise<OpenStore> {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-store-'))
  const staged = () => readdir(join(directory, '.landfall/staging')).catch(() => [])
  const store = localStore({ directory, fsync: false })
  await store.prepare!()
  return Object.assign(troubled(store), {
    openMultiparts: async () => (await staged()).length,
    dispose: () => rm(directory, { recursive: true, force: true }),
  })
}

async function openBucket(): Promise<OpenStore> {
  const real = realS3()
  const standIn = real ? null : await startS3StandIn({ equalParts: true })
  const options = s3Options.parse({ ...(real ?? standIn?.settings), S3_PREFIX: `test-${randomUUID()}/` })
  const store = s3Store(options)
  return Object.assign(troubled(store), {
    openMultiparts: async () => (standIn ? standIn.multiparts().length : countMultiparts(options)),
    async dispose() {
      if (!standIn) for await (const key of store.list('')) await store.remove([key])
      await store.close()
      await standIn?.close()
    },
  })
}

async function countMultiparts(options: S3Options): Promise<number> {
  const client = new S3Client({
    endpoint: options.S3_ENDPOINT!,
    region: options.S3_REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: options.S3_ACCESS_KEY_ID!, secretAccessKey: options.S3_SECRET_ACCESS_KEY! },
  })
  const list = { Bucket: options.S3_BUCKET, Prefix: options.S3_PREFIX }
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(list))
  client.destroy()
  return Uploads.length
}
