import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { globSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts'
import { testAppOver } from '../../support/test-app.ts'
import { until } from '../../support/until.ts'
import { listen } from '../web/browser.ts'

const run = promisify(execFile)
const source = 'test/support/tus-java-client/src'
const hasJdk = await run('javac', ['-version']).then(
  () => true,
  () => false,
)

/** The bytes of a request. The first request of a larger file ends before the file does. */
const requestBytes = 10_000
const partSize = 64 * 1024

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-java-'))
  if (hasJdk) await run('javac', ['-d', join(folder, 'classes'), ...globSync(`${source}/**/*.java`)])
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function serve(env: Record<string, string> = {}) {
  const store = memoryStore()
  const app = await testAppOver<MemoryStore>(store, { PART_SIZE: String(partSize), ...env })
  const proxy = await startFaultProxy(await listen(app.http))
  onTestFinished(() => proxy.close())
  const user = userOf(randomUUID(), 'creator')
  const token = (await app.as(user)).authorization.slice('Bearer '.length)
  return {
    app,
    store,
    proxy,
    /** Sends files of these sizes, each twice with the same client. @returns their bytes */
    async send(sizes: number[], perRequest = requestBytes): Promise<Buffer[]> {
      const files = await Promise.all(
        sizes.map(async (size) => {
          const path = join(folder, `${randomUUID()}.bin`)
          const bytes = randomBytes(size)
          await writeFile(path, bytes)
          return { path, bytes }
        }),
      )
      const paths = files.map(({ path }) => path)
      const classes = join(folder, 'classes')
      await run('java', ['-cp', classes, 'Send', `${proxy.endpoint}/files`, token, String(perRequest), ...paths])
      return files.map(({ bytes }) => bytes)
    },
    /** The bytes of all complete files of the user, the oldest first. */
    async stored(): Promise<Buffer[]> {
      await app.engine.drained()
      const uploads = await app.engine.list(user, { limit: 99 })
      const files = uploads.filter(({ state }) => state === 'completed')
      return files.toReversed().map(({ key }) => store.objects.get(key)!)
    },
  }
}

describe.skipIf(!hasJdk)('tus-java-client, compiled with the JDK of this machine', { timeout: 120_000 }, () => {
  it('sends files of every size, and finds each complete when it sends it again', async () => {
    const { send, stored } = await serve()

    const sent = await send([0, 1, 9999, 10_000, 10_001, 20_000, 50_000])

    expect(await stored()).toEqual(sent)
  })

  it.each([
    ['of no bytes', 0],
    ['of one request', requestBytes],
    ['of several requests', 3 * requestBytes],
    ['of several parts', 3 * partSize],
  ])('reports success for a file %s whose last answer was lost, and it is stored once', async (_size, size) => {
    const { send, stored, store, proxy } = await serve()
    let isLost = false
    store.fault = (call, at) => {
      if (isLost || at === 'before' || !['put', 'completeMultipart'].includes(call)) return
      isLost = true
      proxy.set({ dropReply: true })
    }
    const lost = until(() => proxy.counts.swallowed > 0).then(() => {
      proxy.set({})
      proxy.cutAll()
    })

    const sent = await send([size])
    await lost

    expect(await stored()).toEqual(sent)
  })

  it('reports success for a file that is completed more slowly than an answer waits', async () => {
    const { send, stored, store, app } = await serve({ FINISH_WAIT: '100ms' })
    const completed = Promise.withResolvers<void>()
    store.fault = (call, at) => (call === 'completeMultipart' && at === 'before' ? completed.promise : undefined)
    let refused = 0
    app.http.server.on('request', (_request, response) =>
      response.once('finish', () => {
        if ([503, 423].includes(response.statusCode)) refused += 1
        if (refused === 2) completed.resolve()
      }),
    )

    const sent = await send([3 * partSize], 4 * partSize)

    expect(refused).toBeGreaterThanOrEqual(2)
    expect(await stored()).toEqual(sent)
  })
})
