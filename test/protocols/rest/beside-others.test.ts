import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { ada } from '../../support/open-engine.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'
import { restDriver } from './driver.ts'

/** A dialect as a client speaks it that begins a file, goes on with one, or brings it to its end. */
interface Speaker {
  begin(file: Buffer, upTo: number): Promise<string>
  goOn(id: string, file: Buffer, upTo: number): Promise<void>
  finish(id: string, file: Buffer): Promise<void>
}

interface Server {
  app: TestApp
  url: string
  headers: Record<string, string>
}

async function serve(): Promise<Server> {
  const app = await testApp({ PART_SIZE: '64KiB', CHUNK_SIZE: '64KiB' })
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  return { app, url: `http://127.0.0.1:${port}`, headers: await app.as() }
}

/** tus and RUFH differ in their headers only, for what is needed here. */
function patching(
  { url, headers }: Server,
  words: {
    begin: (size: number) => Record<string, string>
    ask: Record<string, string>
    append: (isLast: boolean) => Record<string, string>
  },
): Speaker {
  async function send(method: string, path: string, more: Record<string, string>, body?: Buffer): Promise<Headers> {
    const init = { method, headers: { ...headers, ...more }, ...(body && { body: new Uint8Array(body) }) }
    const answer = await fetch(`${url}${path}`, init)
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.headers
  }
  async function append(id: string, file: Buffer, upTo: number): Promise<void> {
    const offset = Number((await send('HEAD', `/files/${id}`, words.ask)).get('upload-offset'))
    if (offset >= upTo) return
    const more = { ...words.append(upTo === file.length), 'upload-offset': String(offset) }
    await send('PATCH', `/files/${id}`, more, file.subarray(offset, upTo))
  }
  return {
    async begin(file, upTo) {
      const location = (await send('POST', '/files', words.begin(file.length))).get('location')!
      const id = location.split('/').at(-1)!
      await append(id, file, upTo)
      return id
    },
    goOn: append,
    finish: (id, file) => append(id, file, file.length),
  }
}

const speakers: Record<string, (server: Server) => Speaker> = {
  tus: (server) => {
    const always = { 'tus-resumable': '1.0.0' }
    return patching(server, {
      begin: (size) => ({ ...always, 'upload-length': String(size), 'upload-metadata': 'filename YS5iaW4=' }),
      ask: always,
      append: () => ({ ...always, 'content-type': 'application/offset+octet-stream' }),
    })
  },
  RUFH: (server) => {
    const always = { 'upload-draft-interop-version': '8' }
    return patching(server, {
      begin: (size) => ({ ...always, 'upload-complete': '?0', 'upload-length': String(size) }),
      ask: always,
      append: (isLast) => ({
        ...always,
        'content-type': 'application/partial-upload',
        'upload-complete': isLast ? '?1' : '?0',
      }),
    })
  },
  REST: (server) => {
    const driver = restDriver(server)
    return {
      async begin(file, upTo) {
        const id = await driver.create({ name: 'a.bin', size: file.length })
        await driver.append(id, file, 0, upTo)
        return id
      },
      goOn: (id, file, upTo) => driver.append(id, file, 0, upTo),
      async finish(id, file) {
        await driver.append(id, file)
        await driver.complete(id)
      },
    }
  },
}

const names = Object.keys(speakers)
const orders = names.flatMap((first) =>
  names.flatMap((second) => names.map((third) => [first, second, third] as const)),
)

describe('a file', () => {
  it.each(orders)('that is begun with %s, continued with %s and finished with %s is that file', async (...order) => {
    const server = await serve()
    const [first, second, third] = order.map((name) => speakers[name]!(server))
    const file = randomBytes(200_000)

    const id = await first!.begin(file, 50_000)
    await second!.goOn(id, file, 150_000)
    await third!.finish(id, file)
    await server.app.engine.drained()

    const upload = await server.app.engine.get(ada, id)
    expect(upload).toMatchObject({ state: 'completed', offset: file.length })
    expect(server.app.store.objects.get(upload.key)?.equals(file)).toBe(true)
    expect([...server.app.store.objects.keys()]).toEqual([upload.key])
    expect(server.app.store.multiparts.size).toBe(0)
  })

  it('whose last chunk came out of order is finished by a tus client that asks for its offset', async () => {
    const server = await serve()
    const file = randomBytes(200_000)
    const driver = restDriver(server)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 70_000)
    expect(await driver.offset(id)).toBe(0)
    await driver.append(id, file, 0, 1)

    await speakers['tus']!(server).finish(id, file)

    expect((await server.app.engine.get(ada, id)).state).toBe('completed')
  })

  it('of which some chunks came is filled up by a tus client that knows of no chunks', async () => {
    const server = await serve()
    const file = randomBytes(200_000)
    const driver = restDriver(server)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 70_000, 80_000)

    await speakers['tus']!(server).finish(id, file)

    const upload = await server.app.engine.get(ada, id)
    expect(upload.state).toBe('completed')
    expect(server.app.store.objects.get(upload.key)?.equals(file)).toBe(true)
  })
})
