/* A store may take longer to put a file together than any answer waits: then the client's own retries must come to one file. */
import { randomBytes } from 'node:crypto'
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
  store.fault = (call, at) => (call === 'finish' && at === 'before' ? gate.promise : undefined)
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

/** The file that is there, once nothing runs any more. */
async function onlyFile({ engine, keys }: TusServer) {
  await engine.idle()
  const files = await engine.list(ada, { limit: 5, state: 'completed' })
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
})
