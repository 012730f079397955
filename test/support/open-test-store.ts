import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ObjectStore } from '../../src/core/ports.ts'
import { localStore } from '../../src/stores/local.ts'
import { s3Options } from '../../src/stores/s3/options.ts'
import { s3Store } from '../../src/stores/s3/store.ts'
import { memoryStore } from './memory-store.ts'
import { startS3StandIn } from './s3-stand-in.ts'
import { type TroubledStore, troubled } from './troubled-store.ts'

/** Where a suite can keep its files: in memory with small parts, on disk, or in S3. */
export const storeKinds = ['memory', 'local', 's3'] as const

export type StoreKind = (typeof storeKinds)[number]

/** An empty store that goes with the test. S3 is the real server of TEST_S3_ENDPOINT where there is one, else the stand-in. */
export async function openTestStore(kind: StoreKind): Promise<TroubledStore> {
  if (kind === 'memory') return memoryStore()
  return troubled(kind === 'local' ? await openFolder() : await openBucket())
}

async function openFolder(): Promise<ObjectStore> {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-store-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return localStore({ directory, fsync: false })
}

async function openBucket(): Promise<ObjectStore> {
  const { TEST_S3_ENDPOINT: endpoint } = process.env
  const standIn = endpoint ? null : await startS3StandIn({ equalParts: true })
  const store = s3Store(
    s3Options.parse({
      S3_ENDPOINT: standIn?.endpoint ?? endpoint,
      S3_BUCKET: standIn?.bucket ?? process.env.TEST_S3_BUCKET,
      S3_ACCESS_KEY_ID: standIn?.accessKeyId ?? process.env.TEST_S3_ACCESS_KEY_ID,
      S3_SECRET_ACCESS_KEY: standIn?.secretAccessKey ?? process.env.TEST_S3_SECRET_ACCESS_KEY,
      S3_PREFIX: `test-${randomUUID()}/`,
    }),
  )
  onTestFinished(async () => {
    if (!standIn) for await (const key of store.list('')) await store.remove([key])
    await store.close()
    await standIn?.close()
  })
  return store
}
