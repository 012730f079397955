import type { AddressInfo } from 'node:net'
import { describe } from 'vitest'
import { choosePartSize } from '../../src/core/create/part-plan.ts'
import { isServersOwn } from '../../src/core/pairing/marker.ts'
import { userOf } from '../../src/core/upload.ts'
import { ada } from '../support/open-engine.ts'
import { openTestStore, protocolStores, type StoreKind } from '../support/open-test-store.ts'
import { testAppOver } from '../support/test-app.ts'
import { restDriver } from './rest/driver.ts'
import { rufhDriver } from './rufh/driver.ts'
import { type Driver, runScenarios, type Stage } from './stories.ts'
import { tusDriver } from './tus/driver.ts'

type OpenDriver = (server: { url: string; headers: Record<string, string> }) => Driver

const drivers: [string, OpenDriver][] = [
  ['tus', tusDriver],
  ['RUFH', rufhDriver],
  ['REST', restDriver],
]

describe.each(protocolStores)('with files in %s', (kind) => {
  describe.each(drivers)('in %s', (_, openDriver) => runScenarios(() => setUp(kind, openDriver)))
})

async function setUp(kind: StoreKind, openDriver: OpenDriver): Promise<Stage> {
  const store = await openTestStore(kind)
  const app = await testAppOver(store, { PART_SIZE: '64KiB', CHUNK_SIZE: '64KiB' })
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.http.server.address() as AddressInfo).port}`
  return {
    part: choosePartSize({ size: 1, preferred: 64 * 1024, limits: store.limits }),
    driver: openDriver({ url, headers: await app.as() }),
    otherUser: openDriver({ url, headers: await app.as(userOf('eve', 'creator')) }),
    async objectOf(id) {
      await app.engine.drained()
      const { key } = await app.engine.get(ada, id)
      return (await store.stat(key)) ? Buffer.concat(await all(store.read(key))) : undefined
    },
    async keys() {
      await app.engine.drained()
      const open = Array.from({ length: await store.openMultiparts() }, () => 'an open multipart upload')
      const objects = (await all(store.list(''))).filter((key) => !isServersOwn(key) && !isBeingWritten(key))
      return [...objects, ...open]
    },
  }
}

/** Whether the local store is writing one of the server's own objects, which it does at any time. */
function isBeingWritten(key: string): boolean {
  return /^\.landfall\/[0-9a-f]{32}_put_[0-9a-f-]{36}$/.test(key)
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
