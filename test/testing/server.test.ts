import { Upload } from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CompletedEvent } from '../../src/features/hooks.ts'
import { openTestServer, scriptFaults, type TestServerOptions } from '../../src/testing/index.ts'
import { until } from '../support/until.ts'

const tus = { 'tus-resumable': '1.0.0' }
const rufh = { 'upload-draft-interop-version': '8' }
const bytes = Buffer.from('0123456789'.repeat(10))

async function open(options: TestServerOptions = {}) {
  const server = await openTestServer(options)
  onTestFinished(() => server.close())
  return server
}

/** Sends `file` with tus-js-client, as an app does, and resolves with the client. */
function sendWithTus(url: string, file = bytes): Promise<Upload> {
  return new Promise((done, fail) => {
    const upload: Upload = new Upload(file as never, {
      endpoint: `${url}/files`,
      chunkSize: 40,
      retryDelays: [0, 0, 0, 0],
      onSuccess: () => done(upload),
      onError: fail,
    })
    upload.start()
  })
}

const create = (url: string, size = bytes.length) =>
  fetch(`${url}/files`, { method: 'POST', headers: { ...tus, 'upload-length': String(size) } })

const append = (url: string, body: Buffer, offset = 0) =>
  fetch(url, {
    method: 'PATCH',
    headers: { ...tus, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' },
    body: body as never,
  })

const offsetOf = async (url: string) =>
  (await fetch(url, { method: 'HEAD', headers: tus })).headers.get('upload-offset')

/** The address of an upload that was created with tus. */
async function newUpload(url: string): Promise<string> {
  return new URL((await create(url)).headers.get('location')!, url).href
}

describe('a server for tests', () => {
  it('takes a file with tus, without a database', async () => {
    const { url, store, events, errors } = await open()

    await sendWithTus(url)

    expect([...store.objects.values()]).toEqual([bytes])
    expect(events.map(({ type }) => type)).toEqual(['upload.created', 'upload.completed'])
    expect(errors).toEqual([])
  })

  it('takes a file with RUFH and with one request, below a prefix', async () => {
    const { url, store } = await open({ prefix: '/uploads' })

    const headers = { ...rufh, 'upload-complete': '?1' }
    const begun = await fetch(`${url}/files`, { method: 'POST', headers, body: bytes as never })
    const put = await fetch(`${url}/v1/files/b.txt`, { method: 'PUT', body: 'hello' })

    expect([begun.status, put.status]).toEqual([201, 201])
    expect([...store.objects.values()].map(({ length }) => length)).toEqual([100, 5])
    const { uploads } = (await (await fetch(`${url}/v1/uploads`)).json()) as { uploads: unknown[] }
    expect(uploads).toHaveLength(2)
    expect(put.headers.get('location')).toMatch(/^\/uploads\//)
  })

  it('applies policies, a login and hooks of the app', async () => {
    const done: CompletedEvent[] = []
    const { url } = await open({
      policies: { creator: { maxSize: 50 } },
      authenticate: ({ headers }) => (headers['x-user'] ? { id: String(headers['x-user']), role: 'creator' } : null),
      beforeCreate: ({ creation }) => creation.filename !== 'no.txt' || { because: 'Not this one.' },
      onUploadCompleted: (event) => void done.push(event),
    } as TestServerOptions)
    const put = (name: string, body: string, headers = { 'x-user': 'ann' }) =>
      fetch(`${url}/v1/files/${name}`, { method: 'PUT', headers, body })

    const statuses = [
      (await put('a.txt', 'hello')).status,
      (await put('no.txt', 'hello')).status,
      (await put('b.txt', 'x'.repeat(51))).status,
      (await fetch(`${url}/v1/uploads`)).status,
    ]

    expect(statuses).toEqual([201, 403, 413, 401])
    await until(() => done.length > 0)
    expect(done).toMatchObject([{ ownerId: 'ann', filename: 'a.txt', size: 5 }])
  })

  it('has no routes for what a database is needed for', async () => {
    const { url } = await open({ authenticate: () => ({ id: 'root', role: 'creator', isAdmin: true }) } as never)

    const answers = await Promise.all(
      ['/v1/admin/keys', '/v1/admin/policies', '/v1/events', '/v1/usage'].map((path) => fetch(url + path)),
    )

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404])
  })

  it('expires what is old by the clock of the test, when its jobs run', async () => {
    let time = Date.now()
    const { url, store, events, runJobs } = await open({ now: () => new Date(time) })
    const upload = await newUpload(url)
    await append(upload, bytes.subarray(0, 50))

    time += 365 * 86_400_000
    await runJobs()

    expect((await fetch(upload, { method: 'HEAD', headers: tus })).status).toBe(410)
    expect(events.at(-1)!.type).toBe('upload.expired')
    expect([store.objects.size, store.multiparts.size]).toEqual([0, 0])
  })

  it('calls a hook again that failed, when its jobs run', async () => {
    let calls = 0
    const { url, errors, runJobs } = await open({
      onUploadCompleted: () => {
        calls += 1
        if (calls === 1) throw new Error('the mail server is away')
      },
    })

    await sendWithTus(url)
    await until(() => errors.length > 0)
    await runJobs()

    expect([calls, String(errors)]).toEqual([2, 'Error: the mail server is away'])
  })

  it('finishes a file whose store was away, with the faults of the store', async () => {
    const { url, store, events } = await open()
    const { left } = scriptFaults(store, [
      { call: 'put', how: 'fails' },
      { call: 'put', how: 'loses-answer' },
    ])

    await sendWithTus(url)

    expect([left(), events.at(-1)!.type]).toEqual([[], 'upload.completed'])
    expect([...store.objects.values()]).toEqual([bytes])
  })
})

describe('a script of faults between client and server', () => {
  it.each([502, 503, 429])('answers the next requests with %i, and the client goes on', async (status) => {
    const { url, store, script } = await open()
    const { left } = script([
      { action: 'append', how: 'answers', status, retryAfter: 0, times: status === 429 ? 0 : 2 },
    ])

    await sendWithTus(url)

    expect([left(), store.objects.size]).toEqual([[], 1])
  })

  it('does not let the server see a request that is answered in its place', async () => {
    const { url, events, script } = await open()
    script([{ action: 'create', how: 'answers', status: 503, retryAfter: 7 }])

    const answer = await create(url)

    expect([answer.status, answer.headers.get('retry-after'), events.length]).toEqual([503, '7', 0])
    expect((await create(url)).status).toBe(201)
  })

  it.each([1, 7, 64, 99])('ends the connection after %i bytes, which are kept', async (afterBytes) => {
    const { url, script } = await open()
    const upload = await newUpload(url)
    const { left } = script([{ action: 'append', how: 'drops', afterBytes }])

    await expect(append(upload, bytes)).rejects.toThrow()

    expect([left(), await offsetOf(upload)]).toEqual([[], String(afterBytes)])
    expect((await append(upload, bytes.subarray(afterBytes), afterBytes)).status).toBe(204)
  })

  it('ends the connection before the server sees the request, or with its last byte', async () => {
    const { url, script } = await open()
    const upload = await newUpload(url)
    script([
      { action: 'append', how: 'drops', afterBytes: 0 },
      { action: 'append', how: 'drops', afterBytes: 1000 },
    ])

    await expect(append(upload, bytes.subarray(0, 50))).rejects.toThrow()
    expect(await offsetOf(upload)).toBe('0')
    await expect(append(upload, bytes.subarray(0, 50))).rejects.toThrow()
    expect(await offsetOf(upload)).toBe('50')
  })

  it('cuts bodies that are longer than what arrives at once', async () => {
    const { url, script } = await open()
    const large = Buffer.alloc(3_000_000, 'x')
    const created = await create(url, large.length)
    const upload = new URL(created.headers.get('location')!, url).href
    script([{ action: 'append', how: 'drops', afterBytes: 2_000_001 }])

    await expect(append(upload, large)).rejects.toThrow()

    expect(await offsetOf(upload)).toBe('2000001')
  })

  it('loses the answer to a creation, which a repetition replaces within the quota', async () => {
    const { url, events, script } = await open({ policies: { creator: { totalBytes: 150 } } })
    const { left } = script([{ action: 'create', how: 'loses-answer' }])

    await sendWithTus(url)

    expect(left()).toEqual([])
    expect(events.map(({ type }) => type.split('.')[1])).toEqual(['created', 'cancelled', 'created', 'completed'])
  })

  it('loses the answer to bytes that the server has taken', async () => {
    const { url, store, script } = await open()
    const upload = await newUpload(url)
    script([{ action: 'append', how: 'loses-answer' }])

    await expect(append(upload, bytes)).rejects.toThrow()

    expect([await offsetOf(upload), store.objects.size]).toEqual(['100', 1])
  })

  it('holds a request up until the test says so', async () => {
    const { url, script } = await open()
    const upload = await newUpload(url)
    const { promise, resolve } = Promise.withResolvers<void>()
    script([{ action: 'append', how: 'waits', until: promise }])

    const sending = append(upload, bytes)
    const before = await offsetOf(upload)
    resolve()

    expect([before, (await sending).status, await offsetOf(upload)]).toEqual(['0', 204, '100'])
  })
})
