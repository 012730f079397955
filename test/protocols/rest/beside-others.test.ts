import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ada } from '../../support/open-engine.ts'
import { portOf, sharedApp, type TestApp } from '../../support/test-app.ts'
import { restDriver } from './driver.ts'

/** A client of one protocol. */
interface ProtocolClient {
  /** Creates an upload and sends the bytes up to `end`. @returns its id */
  create(file: Buffer, end: number): Promise<string>
  /** Resumes an upload and sends the bytes up to `end`. */
  resume(id: string, file: Buffer, end: number): Promise<void>
  complete(id: string, file: Buffer): Promise<void>
}

interface Server {
  app: TestApp
  url: string
  headers: Record<string, string>
}

async function serve(): Promise<Server> {
  const app = await sharedApp({ PART_SIZE: '64KiB', CHUNK_SIZE: '64KiB' })
  return { app, url: `http://127.0.0.1:${await portOf(app)}`, headers: await app.as() }
}

/** A client of tus or RUFH, which differ only in their headers here. */
function patchClient(
  { url, headers }: Server,
  headersFor: {
    create: (size: number) => Record<string, string>
    head: Record<string, string>
    append: (isLast: boolean) => Record<string, string>
  },
): ProtocolClient {
  async function send(method: string, path: string, more: Record<string, string>, body?: Buffer): Promise<Headers> {
    const init = { method, headers: { ...headers, ...more }, ...(body && { body: new Uint8Array(body) }) }
    const answer = await fetch(`${url}${path}`, init)
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.headers
  }
  async function append(id: string, file: Buffer, end: number): Promise<void> {
    const offset = Number((await send('HEAD', `/files/${id}`, headersFor.head)).get('upload-offset'))
    if (offset >= end) return
    const more = { ...headersFor.append(end === file.length), 'upload-offset': String(offset) }
    await send('PATCH', `/files/${id}`, more, file.subarray(offset, end))
  }
  return {
    async create(file, end) {
      const location = (await send('POST', '/files', headersFor.create(file.length))).get('location')!
      const id = location.split('/').at(-1)!
      await append(id, file, end)
      return id
    },
    resume: append,
    complete: (id, file) => append(id, file, file.length),
  }
}

const clients: Record<string, (server: Server) => ProtocolClient> = {
  tus: (server) => {
    const always = { 'tus-resumable': '1.0.0' }
    return patchClient(server, {
      create: (size) => ({ ...always, 'upload-length': String(size), 'upload-metadata': 'filename YS5iaW4=' }),
      head: always,
      append: () => ({ ...always, 'content-type': 'application/offset+octet-stream' }),
    })
  },
  RUFH: (server) => {
    const always = { 'upload-draft-interop-version': '8' }
    return patchClient(server, {
      create: (size) => ({ ...always, 'upload-complete': '?0', 'upload-length': String(size) }),
      head: always,
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
      async create(file, end) {
        const id = await driver.create({ name: 'a.bin', size: file.length })
        await driver.append(id, file, 0, end)
        return id
      },
      resume: (id, file, end) => driver.append(id, file, 0, end),
      async complete(id, file) {
        await driver.append(id, file)
        await driver.complete(id)
      },
    }
  },
}

const names = Object.keys(clients)
const orders = names.flatMap((first) =>
  names.flatMap((second) => names.map((third) => [first, second, third] as const)),
)

describe('an upload', () => {
  it.each(orders)('that is created in %s can be resumed in %s and completed in %s', async (...order) => {
    const server = await serve()
    const [first, second, third] = order.map((name) => clients[name]!(server))
    const file = randomBytes(200_000)
    const before = new Set(server.app.store.objects.keys())

    const id = await first!.create(file, 50_000)
    await second!.resume(id, file, 150_000)
    await third!.complete(id, file)
    await server.app.engine.drained()

    const upload = await server.app.engine.get(ada, id)
    expect(upload).toMatchObject({ state: 'completed', offset: file.length })
    expect(server.app.store.objects.get(upload.key)?.equals(file)).toBe(true)
    expect([...server.app.store.objects.keys()].filter((key) => !before.has(key))).toEqual([upload.key])
    expect(server.app.store.multiparts.size).toBe(0)
  })

  it('whose last chunk came out of order is completed by a tus client', async () => {
    const server = await serve()
    const file = randomBytes(200_000)
    const driver = restDriver(server)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 70_000)
    expect(await driver.offset(id)).toBe(0)
    await driver.append(id, file, 0, 1)

    await clients['tus']!(server).complete(id, file)

    expect((await server.app.engine.get(ada, id)).state).toBe('completed')
  })

  it('that has some of its chunks is completed by a tus client', async () => {
    const server = await serve()
    const file = randomBytes(200_000)
    const driver = restDriver(server)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 70_000, 80_000)

    await clients['tus']!(server).complete(id, file)

    const upload = await server.app.engine.get(ada, id)
    expect(upload.state).toBe('completed')
    expect(server.app.store.objects.get(upload.key)?.equals(file)).toBe(true)
  })
})
