import { createHash } from 'node:crypto'
import { userOf } from '../../src/core/upload.ts'
import { restDriver } from '../../test/protocols/rest/driver.ts'
import { rufhDriver } from '../../test/protocols/rufh/driver.ts'
import { tusDriver } from '../../test/protocols/tus/driver.ts'
import type { Seeded } from '../../test/support/seeded.ts'
import type { Ground } from './ground.ts'

const drivers = { tus: tusDriver, RUFH: rufhDriver, REST: restDriver }

/** Sends a file in each dialect, in two requests, and says what went wrong with it. */
export async function sendGood(ground: Ground, chance: Seeded): Promise<string[]> {
  const wrong: string[] = []
  const headers = { authorization: `Bearer ${ground.tokens['ada']}` }
  const actor = userOf('ada', 'creator')
  for (const [dialect, speak] of Object.entries(drivers)) {
    const driver = speak({ url: ground.url, headers })
    const file = chance.bytes(Math.round(2.3 * ground.part))
    try {
      const id = await driver.create({ name: 'good.bin', size: file.length })
      await driver.append(id, file, 0, Math.round(1.2 * ground.part))
      await driver.append(id, file, await driver.offset(id))
      const { state } = await driver.complete(id)
      if (state !== 'completed') throw new Error(`it is ${state}`)
      const { key } = await ground.engine.get(actor, id)
      const stored = createHash('sha256')
      for await (const bytes of ground.store.read(key)) stored.update(bytes)
      if (stored.digest('hex') !== createHash('sha256').update(file).digest('hex'))
        throw new Error('it is another file')
      await ground.engine.cancel(actor, id)
    } catch (error) {
      wrong.push(`a good upload in ${dialect}: ${String(error)}`)
    }
  }
  return wrong
}
