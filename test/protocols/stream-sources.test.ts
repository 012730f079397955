/*
 * tus-js-client reads a stream once and keeps only its latest chunk, so it can continue only where the server has kept what arrived. Each
 * stream is cut at every place of its upload, and ends with one file and success.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import * as tus from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { tusPlugin } from '../../src/protocols/tus/plugin.ts'
import { serve } from './rufh/serve.ts'

// The types of the package lack this option.
type Options = Partial<tus.UploadOptions> & { protocol?: string }

const chunkSize = 1000
const size = 3 * chunkSize + 300

/** Where the connection is cut. */
type Cut = 'in the first chunk' | 'between two chunks' | 'in the last chunk' | 'after the last byte'
const cuts: Cut[] = ['in the first chunk', 'between two chunks', 'in the last chunk', 'after the last byte']

/** A gateway that cuts one connection at `cut` and forwards everything else. */
async function startGateway(port: number, cut: Cut): Promise<{ port: number; isCut(): boolean }> {
  let isCut = false
  const gateway = createServer((incoming, outgoing) => {
    // A creation with the first bytes has no offset.
    const offset = Number(incoming.headers['upload-offset'] ?? 0)
    const length = Number(incoming.headers['content-length'])
    const isLast = offset + length === size
    const isChosen =
      length > 0 &&
      !isCut &&
      {
        'in the first chunk': offset === 0,
        'between two chunks': offset > 0,
        'in the last chunk': isLast,
        'after the last byte': isLast,
      }[cut]
    if (!isChosen) return forward(incoming, outgoing, length)
    isCut = true
    if (cut === 'between two chunks') incoming.socket.destroy()
    else if (cut === 'after the last byte') forward(incoming, outgoing, length, () => incoming.socket.destroy())
    else forward(incoming, outgoing, Math.floor(length / 2))
  })

  /** Forwards `bytes` of the body, and cuts the connection if that is not all of it. */
  function forward(incoming: IncomingMessage, outgoing: ServerResponse, bytes: number, onAnswer?: () => void): void {
    const { method, url, headers } = incoming
    const forwarded = sendRequest({ port, method, path: url, headers }, (answer) => {
      if (onAnswer) answer.resume().once('end', onAnswer)
      else answer.pipe(outgoing.writeHead(answer.statusCode!, answer.headers))
    })
    forwarded.on('error', () => outgoing.destroy())
    let left = bytes
    incoming.on('data', (chunk: Buffer) => {
      if (left <= 0) return
      forwarded.write(chunk.subarray(0, left), () => {
        if (left > 0 || bytes === Number(headers['content-length'])) return
        forwarded.destroy()
        incoming.socket.destroy()
      })
      left -= chunk.length
    })
    incoming.on('end', () => forwarded.end())
  }

  gateway.listen(0, '127.0.0.1')
  await new Promise((resolve) => gateway.once('listening', resolve))
  onTestFinished(() => {
    gateway.closeAllConnections()
    gateway.close()
  })
  return { port: (gateway.address() as AddressInfo).port, isCut: () => isCut }
}

async function fileOnDisk(bytes: Buffer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-stream-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'holiday.bin')
  await writeFile(path, bytes)
  return path
}

const readable = (bytes: Buffer) =>
  Readable.from([bytes.subarray(0, 700), bytes.subarray(700, 2900), bytes.subarray(2900)], { objectMode: false })

type Source = [string, (bytes: Buffer) => Promise<Readable> | Readable, Options]

const sources: Source[] = [
  ['a stream', readable, { uploadSize: size }],
  ['a stream with its first bytes in the creation', readable, { uploadSize: size, uploadDataDuringCreation: true }],
  ['a stream of unknown length', readable, { uploadLengthDeferred: true }],
  ['a stream of a web API', (bytes) => Readable.fromWeb(new Blob([bytes]).stream() as never), { uploadSize: size }],
  ['a file read as a stream', async (bytes) => createReadStream(await fileOnDisk(bytes)), { uploadSize: size }],
]

describe.each(['tus-v1', 'ietf-draft-03', 'ietf-draft-05'])('tus-js-client with the protocol %s', (protocol) => {
  describe.each(sources)('sends %s', (_source, open, options) => {
    it.each(cuts)('as one file when the connection is cut %s', async (cut) => {
      const server = await serve({ partSize: 512, beside: (app, options) => void app.register(tusPlugin, options) })
      const gateway = await startGateway(server.port, cut)
      const user = userOf(`user-${randomUUID()}`, 'creator')
      const bytes = randomBytes(size)
      const file = await open(bytes)

      await new Promise<void>((resolve, reject) => {
        const settings: Options = {
          endpoint: `http://127.0.0.1:${gateway.port}/files`,
          headers: { authorization: `Bearer ${user.id}:creator` },
          protocol,
          chunkSize,
          retryDelays: [10, 10, 10],
          ...options,
          onError: reject,
          onSuccess: () => resolve(),
        }
        new tus.Upload(file as never, settings).start()
      })
      await server.engine.drained()

      expect(gateway.isCut()).toBe(true)
      const uploads = await server.engine.list(user, { limit: 10 })
      const files = uploads.filter(({ state }) => state === 'completed')
      expect(files).toHaveLength(1)
      const stored: Buffer[] = []
      for await (const chunk of server.store.read(files[0]!.key)) stored.push(chunk)
      expect(Buffer.concat(stored).equals(bytes)).toBe(true)
    })
  })
})
