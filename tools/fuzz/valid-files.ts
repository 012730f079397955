import { createHash } from 'node:crypto'
import { userOf } from '../../src/core/upload.ts'
import { restDriver } from '../../test/protocols/rest/driver.ts'
import { rufhDriver } from '../../test/protocols/rufh/driver.ts'
import { tusDriver } from '../../test/protocols/tus/driver.ts'
import type { Seeded } from '../../test/support/seeded.ts'
import type { Environment } from './environment.ts'

const drivers = { tus: tusDriver, RUFH: rufhDriver, REST: restDriver }

/** Sends a file by each protocol, in two requests. Returns the violations. */
export async function sendValidFiles(environment: Environment, random: Seeded): Promise<string[]> {
  const problems: string[] = []
  const headers = { authorization: `Bearer ${environment.tokens['ada']}` }
  const actor = userOf('ada', 'creator')
  for (const [protocol, createDriver] of Object.entries(drivers)) {
    const driver = createDriver({ url: environment.url, headers })
    const file = random.bytes(Math.round(2.3 * environment.part))
    try {
      const id = await driver.create({ name: 'good.bin', size: file.length })
      await driver.append(id, file, 0, Math.round(1.2 * environment.part))
      await driver.append(id, file, await driver.offset(id))
      const { state } = await driver.complete(id)
      if (state !== 'completed') throw new Error(`it is ${state}`)
      const { key } = await environment.engine.get(actor, id)
      const stored = createHash('sha256')
      for await (const bytes of environment.store.read(key)) stored.update(bytes)
      if (stored.digest('hex') !== createHash('sha256').update(file).digest('hex'))
        throw new Error('the object differs from the file')
      await environment.engine.cancel(actor, id)
    } catch (error) {
      problems.push(`a valid upload by ${protocol}: ${String(error)}`)
    }
  }
  return problems
}
