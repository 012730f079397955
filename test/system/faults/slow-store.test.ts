/* A store that needs 110 seconds to complete a file, with the default settings of the server and the recommended ones of the client. */
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import * as tus from 'tus-js-client'
import { expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { memoryStore } from '../../support/memory-store.ts'
import { secret, testAppOver } from '../../support/test-app.ts'

const storeMs = 110_000
const file = randomBytes(11 * 1024 ** 2)

function recommendedDelays(): number[] {
  const [, list = ''] = /retryDelays: \[([\d_, ]+)\]/.exec(readFileSync('docs/clients.md', 'utf8'))!
  return list.split(',').map((delay) => Number(delay.replaceAll('_', '')))
}

const ways: Partial<tus.UploadOptions>[] = [{}, { parallelUploads: 2 }, { uploadDataDuringCreation: true }]

it('tus-js-client ends with one file, alone, in parallel, and in the creation', async () => {
  const store = memoryStore()
  const app = await testAppOver(store, { PART_SIZE: '5MiB' })
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  let completions = 0
  store.fault = (call, at) => {
    if (call !== 'completeMultipart' || at !== 'before') return
    completions += 1
    // The time that the store needs is the subject.
    return sleep(storeMs)
  }

  // All at once, because each takes minutes.
  const states = await Promise.all(
    ways.map(async (options) => {
      const user = userOf(randomUUID(), 'creator')
      const headers = { authorization: `Bearer ${await signToken(secret, user, 3600)}` }
      await new Promise<void>((resolve, reject) => {
        const settings = { endpoint: `http://127.0.0.1:${port}/files`, retryDelays: recommendedDelays(), headers }
        const listeners = { onSuccess: () => resolve(), onError: reject }
        new tus.Upload(file as never, { ...settings, ...options, ...listeners }).start()
      })
      const uploads = await app.engine.list(user, { limit: 9 })
      return uploads.filter(({ state }) => state === 'completed').length
    }),
  )

  expect(states).toEqual([1, 1, 1])
  expect(completions).toBeGreaterThanOrEqual(ways.length)
  expect([...store.objects.values()].filter((object) => object.equals(file))).toHaveLength(ways.length)
}, 600_000)
