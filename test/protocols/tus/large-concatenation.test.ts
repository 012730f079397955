import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { parseSize } from '../../../src/core/units.ts'
import { userOf } from '../../../src/core/upload.ts'
import { storeKinds } from '../../support/open-test-store.ts'
import { randomFile } from '../../support/random-file.ts'
import { chunk, serve, type TusServer } from './serve.ts'

/*
 * The requests of tus-js-client with `parallelUploads: 4`, and the time that the concatenation takes. 48 MiB in the suite;
 * CONCAT_SIZE=5GiB is the long run, on the S3 server at TEST_S3_ENDPOINT if there is one.
 */
const size = parseSize(process.env.CONCAT_SIZE ?? '48MiB')!
const count = 4
const MiB = 1024 ** 2

const file = randomFile('concat', size)

async function sendPartial({ url, create }: TusServer, start: number, end: number): Promise<string> {
  const path = await create(end - start, { 'upload-concat': 'partial' })
  const sending = request(`${url}${path}`, {
    method: 'PATCH',
    headers: {
      ...chunk,
      authorization: 'Bearer ada:creator',
      'tus-resumable': '1.0.0',
      'upload-offset': 0,
      'content-length': end - start,
    },
  })
  const answered = new Promise<number>((resolve, reject) => {
    sending.on('response', (answer) => resolve(answer.resume().statusCode!))
    sending.on('error', reject)
  })
  await pipeline(file.chunks(start, end), sending)
  expect(await answered).toBe(204)
  return path
}

describe.each(storeKinds.filter((kind) => kind !== 'memory'))('parallel partial uploads, with files in %s', (kind) => {
  it(`become one file of ${process.env.CONCAT_SIZE ?? '48MiB'} by copies within the store`, {
    timeout: 3_600_000,
  }, async () => {
    const server = await serve({ kind, partSize: 8 * MiB, finishWaitMs: 10_000, bodyIdleMs: 60_000 })
    const each = Math.floor(size / count)
    const paths: string[] = []
    for (let index = 0; index < count; index += 1) {
      const end = index === count - 1 ? size : (index + 1) * each
      paths.push(await sendPartial(server, index * each, end))
    }
    const calls = new Map<string, number>()
    server.store.fault = (call, at) => {
      if (at === 'before') calls.set(call, (calls.get(call) ?? 0) + 1)
    }
    const before = process.memoryUsage().rss
    const startedAt = performance.now()

    // The client repeats the creation while the server still concatenates.
    let path: string | undefined
    while (path === undefined) {
      path = await server
        .create(0, { 'upload-length': null, 'upload-concat': `final;${paths.join(' ')}` })
        .catch((error: Error) => (/ 503 /.test(error.message) ? undefined : Promise.reject(error)))
    }

    const seconds = (performance.now() - startedAt) / 1000
    const grown = (process.memoryUsage().rss - before) / MiB
    if (process.env.CONCAT_SIZE)
      console.log(
        `${kind}: ${size / MiB} MiB concatenated in ${seconds.toFixed(2)} s by ${calls.get('copyPart')} copies, ${grown.toFixed(0)} MiB more memory`,
      )
    expect((await server.head(path)).headers).toMatchObject({ 'upload-offset': String(size) })
    expect(calls.get('uploadPart')).toBeUndefined()
    expect(calls.get('read')).toBeUndefined()
    expect(calls.get('copyPart')).toBeGreaterThan(count - 1)
    server.store.fault = () => {}
    await server.engine.drained()
    const { key } = await server.engine.get(userOf('ada', 'creator'), path.split('/').at(-1)!)
    expect(await server.keys()).toEqual([key])
    const stored = createHash('sha256')
    for await (const bytes of server.store.read(key)) stored.update(bytes)
    expect(stored.digest('hex')).toBe(file.sha256())
  })
})
