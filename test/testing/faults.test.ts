import { describe, expect, it } from 'vitest'
import { memoryStore, scriptFaults } from '../../src/testing/index.ts'
import { ann, appWith, create, send, tus } from '../embed/support.ts'

const bytes = { size: 1, chunks: () => [Buffer.from('x')] }
const type = { contentType: 'text/plain' }

describe('a script of faults', () => {
  it('makes the next calls fail, as if the store were away, and then no more', async () => {
    const store = memoryStore()
    const { left } = scriptFaults(store, [{ call: 'put', how: 'fails', times: 2 }])

    const outcomes = []
    for (const key of ['a', 'b', 'c'])
      outcomes.push(
        await store.put(key, bytes, type).then(
          () => 'done',
          ({ code }) => code,
        ),
      )

    expect(outcomes).toEqual(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE', 'done'])
    expect([[...store.objects.keys()], left()]).toEqual([['c'], []])
  })

  it('loses the answer of a call that was carried out', async () => {
    const store = memoryStore()
    scriptFaults(store, [{ call: 'put', how: 'loses-answer' }])

    await expect(store.put('a', bytes, type)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

    expect([...store.objects.keys()]).toEqual(['a'])
  })

  it('lets a call wait', async () => {
    const store = memoryStore()
    const { promise, resolve } = Promise.withResolvers<void>()
    scriptFaults(store, [{ call: 'stat', how: 'waits', until: promise }])
    const order: string[] = []

    const found = store.stat('a').then(() => order.push('answered'))
    await store.stat('b')
    order.push('other')
    resolve()
    await found

    expect(order).toEqual(['other', 'answered'])
  })

  it('is what the client of an app sees, which goes on afterwards', async () => {
    const store = memoryStore()
    const app = await appWith({ store })
    const { headers } = await create(app, 5)
    const { left } = scriptFaults(store, [{ call: 'put', how: 'fails' }])

    const failed = await send(app, headers.location!, 'hello')
    const head = await app.inject({ method: 'HEAD', url: headers.location!, headers: { ...ann, ...tus } })
    const offset = Number(head.headers['upload-offset'])
    const sent = await send(app, headers.location!, 'hello'.slice(offset), { 'upload-offset': String(offset) })

    expect([failed.statusCode, sent.statusCode, left()]).toEqual([503, 204, []])
    expect([...store.objects.values()].map(String)).toEqual(['hello'])
  })
})
