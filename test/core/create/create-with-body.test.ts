import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import type { CreatedUpload } from '../../../src/core/engine.ts'
import { errors } from '../../../src/core/errors/errors.ts'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import { ada, bodyOf, openEngine, testDatabase } from '../../support/open-engine.ts'

const notes = { size: 33, filename: 'notes.txt', contentType: 'text/plain' }
const bytes = randomBytes(33)
const appendOf = () => ({ offset: 0, body: bodyOf(bytes), bodySize: 33, ending: 'at-size' as const })

it('another node tells no offset that the body of the creation then changes', async () => {
  const database = await testDatabase()
  const [a, b] = [await openEngine(), await openEngine()]
  const created = Promise.withResolvers<CreatedUpload>()
  const mayReceive = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  await database.listen('landfall_lease', (message) => {
    if (message.startsWith('ask')) asked.resolve()
  })
  const creating = a.engine
    .createWithBody(ada, notes, async (upload) => {
      created.resolve(upload)
      await mayReceive.promise
      return appendOf()
    })
    .catch((error: unknown) => error)
  const { id } = await created.promise

  const reading = b.engine.status(ada, id)
  await Promise.race([reading, asked.promise])
  mayReceive.resolve()
  const { offset } = await reading

  await creating
  expect((await b.engine.get(ada, id)).offset).toBe(offset)
})

it('an upload whose body cannot be received is open and free at once', async () => {
  const { engine } = await openEngine({ waitMs: 0 })
  let id = ''

  const creating = engine.createWithBody(ada, notes, (created) => {
    id = created.id
    throw errors.bodyTimeout()
  })

  await expect(creating).rejects.toMatchObject({ code: 'BODY_TIMEOUT' })
  expect(await engine.append(ada, id, appendOf())).toMatchObject({ state: 'completed' })
})

it('a body of unknown length is held to what the quota has left', async () => {
  const actor = { ...ada, id: 'of twenty bytes' }
  const policies = { ...defaultPolicies, users: { [actor.id]: { totalBytes: 20 } } }
  const { engine } = await openEngine({ policies: () => policies })

  const creating = engine.createWithBody(actor, { ...notes, size: null }, appendOf)

  await expect(creating).rejects.toMatchObject({ code: 'FILE_TOO_LARGE' })
})
