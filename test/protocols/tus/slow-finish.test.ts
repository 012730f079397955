/* A store may take longer to complete a file than the server waits before it answers. The retries of the client must then yield one file. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, request as sendRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as tus from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bearer } from '../../support/build-test-app.ts'
import { ada } from '../../support/open-engine.ts'
import { serve, type TusServer } from './serve.ts'

/** Makes the store wait with a completion until the client has read `times` answers that ask it to retry. */
function holdCompletion({ store }: TusServer, times: number) {
  const gate = Promise.withResolvers<void>()
  let left = times
  store.fault = (call, at) => (call === 'completeMultipart' && at === 'before' ? gate.promise : undefined)
  return {
    onStatus(status: number) {
      if ([503, 423, 504].includes(status)) left -= 1
      if (left === 0) gate.resolve()
    },
  }
}

/** Sends `file` with tus-js-client. @returns the method and status of every request */
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

/** A gateway that forwards the first final upload but answers it with 504: once it is completed, or once `impatience` resolves. */
async function startGateway(port: number, impatience?: Promise<void>): Promise<number> {
  let hasGivenUp = false
  const gateway = createServer((incoming, outgoing) => {
    const isFinal = String(incoming.headers['upload-concat']).startsWith('final')
    const givesUp = isFinal && !hasGivenUp
    hasGivenUp ||= isFinal
    const { method, url, headers } = incoming
    const forwarded = sendRequest({ port, method, path: url, headers }, (answer) => {
      if (givesUp) answer.resume().once('end', () => outgoing.writeHead(504).end())
      else answer.pipe(outgoing.writeHead(answer.statusCode!, answer.headers))
    })
    forwarded.on('error', () => outgoing.destroyed || outgoing.headersSent || outgoing.destroy())
    if (givesUp)
      void impatience?.then(() => {
        outgoing.writeHead(504).end()
        forwarded.destroy()
      })
    incoming.pipe(forwarded)
  })
  gateway.listen(0, '127.0.0.1')
  await new Promise((resolve) => gateway.once('listening', resolve))
  onTestFinished(() => void gateway.close())
  return (gateway.address() as AddressInfo).port
}

/** The delays between retries in milliseconds: those in the docs, and the defaults of published clients. */
const delaysOfClients: [string, number[]][] = [
  ['the delays in the docs', recommendedDelays()],
  ['the default delays of Uppy and tus-js-client', [0, 1000, 3000, 5000]],
]

function recommendedDelays(): number[] {
  const docs = readFileSync(new URL('../../../docs/clients.md', import.meta.url), 'utf8')
  const [, list = ''] = /retryDelays: \[([\d_, ]+)\]/.exec(docs)!
  return list.split(',').map((delay) => Number(delay.replaceAll('_', '')))
}

// The default of FINISH_WAIT: how long an answer waits for the completion.
const finishWaitMs = 25_000

/** The number of complete files and the keys in the store, once the engine has drained. */
async function storedFiles({ engine, keys }: TusServer) {
  await engine.drained()
  const files = await engine.list(ada, { limit: 99, state: 'completed' })
  return { files: files.length, keys: await keys() }
}

describe('a client whose file takes longer to complete than an answer waits', () => {
  const file = randomBytes(2500)

  it('ends with one file', async () => {
    const server = await serve({ finishWaitMs: 5 })
    const before = (await storedFiles(server)).files
    const completion = holdCompletion(server, 4)

    const requests = await send(server.port, file, {
      onAfterResponse: (_request, response) => completion.onStatus(response.getStatus()),
    })

    expect(requests.filter((one) => one.startsWith('POST'))).toEqual(['POST 201'])
    const { files, keys } = await storedFiles(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  it('ends with one file when the creation brings the whole file', async () => {
    const server = await serve({ finishWaitMs: 5 })
    const before = (await storedFiles(server)).files
    const completion = holdCompletion(server, 4)

    const requests = await send(server.port, file, {
      uploadDataDuringCreation: true,
      onAfterResponse: (_request, response) => completion.onStatus(response.getStatus()),
    })

    expect(requests).toContain('POST 503')
    const { files, keys } = await storedFiles(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  it('ends with one file of parallel uploads', async () => {
    const server = await serve({ finishWaitMs: 5, partSize: 5000 })
    const before = (await storedFiles(server)).files
    const completion = holdCompletion(server, 4)

    const requests = await send(server.port, file, {
      parallelUploads: 2,
      onAfterResponse: (_request, response) => completion.onStatus(response.getStatus()),
    })

    // Two partial uploads and one final upload, however often the client repeated its creation.
    expect(requests.filter((one) => one === 'POST 201')).toHaveLength(3)
    expect(requests).not.toContain('HEAD 410')
    const { files, keys } = await storedFiles(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  it('ends with one file when a gateway answers 504 for a completed final upload', async () => {
    const server = await serve()
    const before = (await storedFiles(server)).files
    const port = await startGateway(server.port)

    const requests = await send(port, file, { parallelUploads: 2 })

    expect(requests).toContain('POST 504')
    expect(requests).not.toContain('HEAD 410')
    expect(requests.filter((one) => one === 'POST 201')).toHaveLength(3)
    const { files, keys } = await storedFiles(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  it('ends with one file when a gateway answers 504 for an unfinished final upload', async () => {
    const server = await serve({ finishWaitMs: 50, partSize: 5000 })
    const before = (await storedFiles(server)).files
    const completion = holdCompletion(server, 2)
    const isFinishing = Promise.withResolvers<void>()
    const { fault } = server.store
    server.store.fault = (call, at, key) => {
      if (call === 'completeMultipart' && at === 'before') isFinishing.resolve()
      return fault(call, at, key)
    }
    const port = await startGateway(server.port, isFinishing.promise)

    const requests = await send(port, file, {
      parallelUploads: 2,
      onAfterResponse: (_request, response) => completion.onStatus(response.getStatus()),
    })

    expect(requests).toContain('POST 504')
    expect(requests).not.toContain('HEAD 410')
    const { files, keys } = await storedFiles(server)
    expect([files - before, keys.length]).toEqual([1, 1])
  })

  describe.each(delaysOfClients)('with %s', (_settings, delays) => {
    it.each<[string, Partial<tus.UploadOptions>]>([
      ['in one upload', {}],
      ['in parallel uploads', { parallelUploads: 2 }],
      ['with the whole file in the creation', { uploadDataDuringCreation: true }],
    ])('ends with one file when the store needs 110 seconds, %s', async (_how, options) => {
      // The time that would pass: the client's delays between its tries, and the server's wait before each answer.
      const server = await serve({ finishWaitMs: 5, partSize: options.parallelUploads ? 5000 : 10 })
      const before = (await storedFiles(server)).files
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
          // The store completes the file while the next answer waits.
          if (passedMs + finishWaitMs <= 110_000) return
          gate.resolve()
          await server.engine.drained()
        },
      })

      expect(tries).toBeLessThanOrEqual(delays.length)
      const { files, keys } = await storedFiles(server)
      expect([files - before, keys.length]).toEqual([1, 1])
    })
  })

  it('gets its answer within FINISH_WAIT, although the wait for a lock is shorter', async () => {
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

    const head = server.head(path)
    // Each DELETE waits for the lock and gives up, so the HEAD has waited longer than the wait for a lock.
    for (let probe = 0; probe < 3; probe += 1) expect((await server.ask({ method: 'DELETE', path })).status).toBe(423)
    gate.resolve()

    expect([(await head).status, (await sent).status]).toEqual([200, 204])
  })
})
