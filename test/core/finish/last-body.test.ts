import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { countingDatabase } from '../../support/counting-database.ts'
import { memoryStore } from '../../support/memory-store.ts'
import { ada, bodyOf, openEngine } from '../../support/open-engine.ts'
import { until } from '../../support/until.ts'

/** A store in which one kind of call waits for the test. */
function storeThatHolds(held: 'uploadPart' | 'completeMultipart') {
  const store = memoryStore()
  const reached = Promise.withResolvers<void>()
  const proceed = Promise.withResolvers<void>()
  store.fault = async (call, at) => {
    if (call !== held || at !== 'before') return
    reached.resolve()
    await proceed.promise
  }
  return { store, reached: reached.promise, proceed: () => proceed.resolve() }
}

async function openUpload(held: 'uploadPart' | 'completeMultipart') {
  const holding = storeThatHolds(held)
  const { database, sent, answered } = await countingDatabase()
  const { engine } = await openEngine({ store: holding.store, database })
  const { id } = await engine.create(ada, { size: 25, filename: 'notes.txt', contentType: 'text/plain' })
  sent.length = 0
  const append = () =>
    engine.append(ada, id, { offset: 0, body: bodyOf(randomBytes(25)), bodySize: 25, ending: 'at-size' })
  return { ...holding, engine, database, sent, answered, id, append }
}

describe('the last body of an upload', () => {
  it('is recorded before the store is asked to make the object', async () => {
    const { engine, id, append, reached, proceed } = await openUpload('completeMultipart')
    const appended = append()
    await reached

    const meanwhile = await engine.get(ada, id)
    proceed()

    expect(meanwhile).toMatchObject({ state: 'finishing', offset: 25 })
    expect(await appended).toMatchObject({ state: 'completed', offset: 25 })
  })

  it('gives the upload to a request that waits for it before the object is made', async () => {
    const { engine, id, append, sent, answered, reached, proceed } = await openUpload('uploadPart')
    const appended = append()
    await reached
    const asked = engine.status(ada, id)
    // It is followed by the request to the holder.
    await until(() => answered.includes('lease-find'))
    proceed()

    expect([await appended, await asked]).toMatchObject([{ state: 'completed' }, { state: 'completed' }])
    const saves = sent.flatMap((name, at) => (name.startsWith('upload-save') ? [at] : []))
    expect(sent.slice(saves[0], saves[1])).toContain('lease-acquire')
  })

  it('is finished in the background when the answer has waited long enough', async () => {
    const { store, reached, proceed } = storeThatHolds('completeMultipart')
    const { engine } = await openEngine({ store, finishWaitMs: 0 })
    const { id } = await engine.create(ada, { size: 25, filename: 'notes.txt', contentType: 'text/plain' })
    const append = engine.append(ada, id, { offset: 0, body: bodyOf(randomBytes(25)), bodySize: 25, ending: 'at-size' })
    await expect(append).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await reached

    proceed()
    await engine.drained()

    expect(await engine.get(ada, id)).toMatchObject({ state: 'completed' })
  })

  it('leaves nothing to search for when its lease has seen all of the upload', async () => {
    const { engine, store, proceed, append } = await openUpload('completeMultipart')
    proceed()

    await append()
    await engine.drained()

    expect(store.calls).toEqual(['createMultipart', 'uploadPart', 'uploadPart', 'uploadPart', 'completeMultipart'])
  })
})
