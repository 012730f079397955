import type { AddressInfo } from 'node:net'
import { describe } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { ada } from '../support/open-engine.ts'
import { testApp } from '../support/test-app.ts'
import { restDriver } from './rest/driver.ts'
import { rufhDriver } from './rufh/driver.ts'
import { type Driver, type Stage, tellStories } from './stories.ts'
import { tusDriver } from './tus/driver.ts'

type Speaker = (server: { url: string; headers: Record<string, string> }) => Driver

describe.each<[string, Speaker]>([
  ['tus', tusDriver],
  ['RUFH', rufhDriver],
  ['REST', restDriver],
])('in %s', (_, speak) => {
  tellStories(async (): Promise<Stage> => {
    const app = await testApp({ PART_SIZE: '64KiB' })
    await app.http.listen({ host: '127.0.0.1', port: 0 })
    const url = `http://127.0.0.1:${(app.http.server.address() as AddressInfo).port}`
    return {
      driver: speak({ url, headers: await app.as() }),
      stranger: speak({ url, headers: await app.as(userOf('eve', 'creator')) }),
      async objectOf(id) {
        await app.engine.idle()
        return app.store.objects.get((await app.engine.peek(ada, id)).key)
      },
      async keys() {
        await app.engine.idle()
        return [...app.store.objects.keys(), ...[...app.store.multiparts.values()].map(({ key }) => key)]
      },
    }
  })
})
