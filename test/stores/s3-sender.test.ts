import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Worker } from 'node:worker_threads'
import { expect, it, onTestFinished } from 'vitest'
import { workFor } from '../../src/core/turns.ts'
import { createSender } from '../../src/stores/s3/send.ts'
import { until } from '../support/until.ts'

const chunk = Buffer.alloc(1024 ** 2)
const part = { size: 8 * chunk.length, chunks: () => Array.from({ length: 8 }, () => chunk) }

/** A sender with one connection to a server that responds by `answer`. */
async function senderTo(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sender = senderAt((server.address() as AddressInfo).port)
  onTestFinished(() => {
    sender.close()
    server.closeAllConnections()
    server.close()
  })
  return sender
}

function senderAt(port: number, onRequest: (operation: string, code: string) => void = () => {}) {
  return createSender({
    base: new URL(`http://127.0.0.1:${port}/bucket`),
    region: 'us-east-1',
    credentials: async () => ({ accessKeyId: 'a', secretAccessKey: 'b' }),
    sockets: 1,
    onRequest,
  })
}

it('sends many bodies over one connection', async () => {
  const sender = await senderTo((request, response) => {
    request.resume().once('end', () => response.writeHead(200, { etag: '"e"' }).end())
  })

  const sent = await Promise.all(
    Array.from({ length: 20 }, (_, index) => sender.put(part, { operation: 'UploadPart', key: `k${index}` })),
  )

  expect(sent).toHaveLength(20)
})

it('sends a body of one user before the second of another who sends many', async () => {
  const keys: string[] = []
  const sender = await senderTo((request, response) => {
    keys.push(request.url!.split('/').at(-1)!)
    request.resume().once('end', () => response.writeHead(200, { etag: '"e"' }).end())
  })
  const put = (user: string, key: string) =>
    workFor(user, () => sender.put(part, { operation: 'UploadPart', key }).then(() => {}))

  const many = Array.from({ length: 10 }, (_, index) => put('many', `many${index}`))
  await Promise.all([...many, put('one', 'one')])

  expect(keys.indexOf('one')).toBeLessThanOrEqual(2)
})

// With TLS, too, the server may have all bytes before this end knows that they have left.
it('sends the whole body when the response arrives before the last byte was sent', async () => {
  const sender = await senderTo((_request, response) => {
    response.writeHead(200, { etag: '"e"', 'content-length': 0 }).end()
  })

  const sent = [
    await sender.put(part, { operation: 'UploadPart', key: 'a' }),
    // On the same connection: if a byte of the first body were missing, this request would be read as part of it.
    await sender.put(part, { operation: 'UploadPart', key: 'b' }),
  ]

  expect(sent).toEqual([
    { etag: 'e', attempts: 1 },
    { etag: 'e', attempts: 1 },
  ])
})

it('does not accept a response without an ETag', async () => {
  const answers = [{}, { etag: '"e"' }]
  const sender = await senderTo((request, response) => {
    request.resume().once('end', () => response.writeHead(200, answers.shift()).end())
  })

  const sent = await sender.put(part, { operation: 'UploadPart', key: 'a' })

  expect(sent).toEqual({ etag: 'e', attempts: 2 })
})

it.each([
  ['fewer', [Buffer.alloc(5)]],
  ['more', [Buffer.alloc(5), Buffer.alloc(6)]],
])('rejects a body of %s bytes than its size at once', async (_, chunks) => {
  let stored = 0
  const sender = await senderTo((request, response) => {
    request.resume().once('end', () => {
      stored += 1
      response.writeHead(200, { etag: '"e"' }).end()
    })
  })

  const sent = sender.put({ size: 10, chunks: () => chunks }, { operation: 'UploadPart', key: 'a' })

  await expect(sent).rejects.toThrow('more or fewer bytes than its size')
  expect(stored).toBe(0)
})

it.each([
  [409, 'ConditionalRequestConflict', 2],
  [409, 'OperationAborted', 2],
  [503, 'SlowDown', 2],
  [501, 'NotImplemented', 1],
  [412, 'PreconditionFailed', 1],
])('after a response %i %s has sent %i requests', async (status, code, times) => {
  let requests = 0
  const sender = await senderTo((request, response) => {
    request.resume().once('end', () => {
      requests += 1
      if (requests === 1) response.writeHead(status).end(`<Error><Code>${code}</Code></Error>`)
      else response.writeHead(200, { etag: '"e"' }).end()
    })
  })

  await sender.put(part, { operation: 'PutObject', key: 'a' }).catch(() => {})

  expect(requests).toBe(times)
})

it.runIf(process.platform === 'linux')(
  'gives up on a server that accepts no connection',
  { timeout: 60_000 },
  async () => {
    // It never accepts: once its queue is full, Linux does not answer further connections.
    const listens = `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:worker_threads').parentPort.postMessage(server.address().port)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`
    const unresponsive = new Worker(listens, { eval: true })
    const [port] = (await once(unresponsive, 'message')) as [number]
    const queued = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    // Two fit into its queue.
    await until(() => queued.filter(({ connecting }) => !connecting).length === 2)
    const { promise: firstCode, resolve } = Promise.withResolvers<string>()
    const sender = senderAt(port, (_operation, code) => resolve(code))
    onTestFinished(async () => {
      sender.close()
      for (const socket of queued) socket.destroy()
      await unresponsive.terminate()
    })

    sender.put(part, { operation: 'UploadPart', key: 'a' }).catch(() => {})

    expect(await firstCode).toBe('timeout')
  },
)
