/* A store may take longer to put a file together than any answer waits: then the client's own retries must come to one file. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request as ask, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as tus from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bearer } from '../../support/build-test-app.ts'
import { ada } from '../../support/open-engine.ts'
import { serve, type TusServer } from './serve.ts'

/** A store whose finish waits until the client was told `times` that it takes longer. */
function holdFinish({ store }: TusServer, times: number) {
  const gate = Promise.withResolvers<void>()
  let left = times
  store.fault = (call, at) => (call === 'completeMultipart' && at === 'before' ? gate.promise : undefined)
  return {
    heard(status: number) {
      if ([503, 423, 504].includes(status)) left -= 1
      if (left === 0) gate.resolve()
    },
  }
}

/** Sends `file` as a page does, and tells which requests it took. */
function send(port: number, file: Buffer, options: Partial<tus.UploadOptions>): Promise<string[]> {
  const requests: string[] = []
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(file as never, {
      endpoint: `http://127.0.0.1:${port}/files`,
      headers: bearer(),
      retryDelays: Array.from({ length: 10 }, () => 10),
      onError: reject,
      onSuccess: () => resolve(requests),
      ...options,
      async onAfterResponse(request, response) {
        requests.push(`${request.getMethod()} ${response.getStatus()}`)
        await options.onAfterResponse?.(request, response)
      },
    })
    upload.start()
  })
}

/** A gateway that gives the first final of a concatenation to the server, and answers 504 itself. */
async function gatewayBefore(port: number): Promise<number> {
  let hasGivenUp = false
  const gateway = createServer((incoming, outgoing) => {
    const isFinal = String(incoming.headers['upload-concat']).startsWith('final')
    const givesUp = isFinal && !hasGivenUp
    hasGivenUp ||= isFinal
    const { method, url, headers } = incoming
    const passed = ask({ port, method, path: url, headers }, (answer) => {
      if (givesUp) answer.resume().once('end', () => outgoing.writeHead(504).end())
      else answer.pipe(outgoing.writeHead(answer.statusCode!, answer.headers))
    })
    passed.on('error', () => outgoing.destroy())
    incoming.pipe(passed)
  })
  gateway.listen(0, '127.0.0.1')
  await new Promise((resolve) => gateway.once('listening', resolve))
  onTestFinished(() => void gateway.close())
  return (gateway.address() as AddressInfo).port
}

/** The delays between tries, in milliseconds, as the docs have them and as published clients have them by default. */
const published: [string, number[]][] = [
  ['the settings of the docs', recommendedDelays()],
  ['what Uppy and tus-js-client have by default', [0, 1000, 3000, 5000]],
]

function recommendedDelays(): number[] {
  const docs = readFileSync(new URL('../../../docs/clients.md', import.meta.url), 'utf8')
  const [, list = ''] = /retryDelays: \[([\d_, ]+)\]/.exec(docs)!
  return list.split(',').map((delay) => Number(delay.replaceAll('_', '')))
}

// What the server waits with each answer by default.
const finishWaitMs = 25_000

/** The file that is there, once nothing runs any more. */
async function onlyFile({ engine, keys }: TusServer) {
  await engine.drained()
  const files = await engine.list(ada, { limit: 99, state: 'completed' })
  return { files: files.length, keys: await keys() }
}

describe('a client whose file takes longer to put together than an answer waits', () => {
  const file = randomBytes(2500)

  it('comes to one file, in one piece', async () => {
    const server = await serve({ finishWaitMs: 5 })
    const before = (await onlyFile(server)).files
    const finish = holdFinish(server, 4)

    const requests = await send(server.port, file, {
      onAfterResponse: (_request, response) => finish.heard(response.getStatus()),
    })

    expect(requests.filter((one) => one.startsWith('POST'))).toEqual(['POST 201'])
    const { files, keys } = await onlyFile(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  it('comes to one file, with the whole file in the creation', async () => {
    const server = await serve({ finishWaitMs: 5 })
    const before = (await onlyFile(server)).files
    const finish = holdFinish(server, 4)

    const requests = await send(server.port, file, {
      uploadDataDuringCreation: true,
      onAfterResponse: (_request, response) => finish.heard(response.getStatus()),
    })

    expect(requests).toContain('POST 503')
    const { files, keys } = await onlyFile(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  it('comes to one file, in parts beside each other that are joined', async () => {
    const server = await serve({ finishWaitMs: 5, partSize: 5000 })
    const before = (await onlyFile(server)).files
    const finish = holdFinish(server, 4)

    const requests = await send(server.port, file, {
      parallelUploads: 2,
      onAfterResponse: (_request, response) => finish.heard(response.getStatus()),
    })

    // Two partial uploads and the final one, however often it was asked for.
    expect(requests.filter((one) => one === 'POST 201')).toHaveLength(3)
    expect(requests).not.toContain('HEAD 410')
    const { files, keys } = await onlyFile(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  it('comes to one file when a gateway gave up on the final upload, which was completed', async () => {
    const server = await serve()
    const before = (await onlyFile(server)).files
    const port = await gatewayBefore(server.port)

    const requests = await send(port, file, { parallelUploads: 2 })

    expect(requests).toContain('POST 504')
    expect(requests).not.toContain('HEAD 410')
    expect(requests.filter((one) => one === 'POST 201')).toHaveLength(3)
    const { files, keys } = await onlyFile(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  describe.each(published)('with %s', (_settings, delays) => {
    it.each<[string, Partial<tus.UploadOptions>]>([
      ['in one piece', {}],
      ['in parts that are joined', { parallelUploads: 2 }],
      ['with the whole file in the creation', { uploadDataDuringCreation: true }],
    ])('comes to one file when the store needs 110 seconds, %s', async (_how, options) => {
      // The time that passes for a client: what it waits between its tries, and what the server waits with each answer.
      const server = await serve({ finishWaitMs: 5, partSize: options.parallelUploads ? 5000 : 10 })
      const before = (await onlyFile(server)).files
      const gate = Promise.withResolvers<void>()
      server.store.fault = (call, at) => (call === 'completeMultipart' && at === 'before' ? gate.promise : undefined)
      let passedMs = 0
      let tries = 0

      await send(server.port, file, {
        ...options,
        retryDelays: delays.map(() => 1),
        async onAfterResponse(_request, response) {
          if (![503, 423].includes(response.getStatus())) return
          passedMs += finishWaitMs + (delays[tries] ?? 0)
          tries += 1
          // It is done while the next answer waits.
          if (passedMs + finishWaitMs <= 110_000) return
          gate.resolve()
          await server.engine.drained()
        },
      })

      expect(tries).toBeLessThanOrEqual(delays.length)
      const { files, keys } = await onlyFile(server)
      expect([files - before, keys.length]).toEqual([1, 1])
    })
  })

  it('is asked again only after FINISH_WAIT, though a lock is waited for less', async () => {
    const server = await serve({ finishWaitMs: 60_000, waitMs: 1 })
    const gate = Promise.withResolvers<void>()
    const created = Promise.withResolvers<void>()
    server.store.fault = (call, at) => {
      if (call !== 'completeMultipart' || at !== 'before') return
      created.resolve()
      return gate.promise
    }
    const path = await server.create(file.length)
    const sent = server.patch(path, 0, file)
    await created.promise

    const asked = server.head(path)
    // By then the lock was waited for longer than a lock is.
    for (let probe = 0; probe < 3; probe += 1) expect((await server.ask({ method: 'DELETE', path })).status).toBe(423)
    gate.resolve()

    expect([(await asked).status, (await sent).status]).toEqual([200, 204])
  })
})
