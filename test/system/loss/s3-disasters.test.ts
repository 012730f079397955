import net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadConfig } from '../../../src/config.ts'
import { markerKey } from '../../../src/core/pairing/marker.ts'
import { openStore } from '../../../src/stores/index.ts'
import { ada, bodyOf } from '../../support/open-engine.ts'
import { type S3StandIn, startS3StandIn } from '../../support/s3-stand-in.ts'
import { type Environment, expectNoLoss, openEnvironment } from './disaster.ts'

const always = { times: Number.POSITIVE_INFINITY }
const gets = ['GetObject', 'ListObjectsV2', 'ListMultipartUploads', 'ListParts']
const writes = ['PutObject', 'UploadPart', 'CreateMultipartUpload', 'CompleteMultipartUpload']
const denied = { status: 403, code: 'AccessDenied' }
const heads = ['HeadObject', 'HeadBucket']

describe('a bucket that answers', () => {
  it.each<[string, string[], { status: number; code: string }, RegExp]>([
    ['403 to everything', ['*'], denied, /GetObject was answered with 403 AccessDenied/],
    ['403 to every GET', gets, denied, /GetObject was answered with 403 AccessDenied/],
    ['403 to every HEAD', heads, denied, /HeadObject was answered with 403/],
    ['403 to every write', writes, denied, /PutObject was answered with 403 AccessDenied/],
    ['404 NoSuchBucket to everything', ['*'], { status: 404, code: 'NoSuchBucket' }, /404 NoSuchBucket/],
    ['404 NoSuchKey to everything', ['*'], { status: 404, code: 'NoSuchKey' }, /has no marker/],
    ['403 InvalidAccessKeyId', ['*'], { status: 403, code: 'InvalidAccessKeyId' }, /403 InvalidAccessKeyId/],
  ])('%s', async (_, operations, fault, reason) => {
    const { s3, environment } = await openS3()

    for (const operation of operations) s3.faults.next(operation, { ...fault, ...always })

    await expectNoLoss(environment, {
      reason,
      repair: async () => s3.faults.clear(),
      contents: () => contentsOf(s3, environment),
      // A store that can be read is known to be the right one: uploads expire.
      ...(operations === writes && { days: 1 }),
    })
  })
})

describe('the endpoint leads', () => {
  it('to an empty bucket of the same name, and back', async () => {
    const { s3, environment, leadTo } = await openS3()
    const empty = await standIn()

    leadTo(empty)

    await expectNoLoss(environment, {
      reason: /has no marker/,
      repair: async () => leadTo(s3),
      contents: () => contentsOf(s3, environment),
    })
    expect(empty.files()).toEqual([])
  })

  it('to the bucket of another database, and back', async () => {
    const { s3, environment, leadTo } = await openS3()
    const other = await openS3()
    const before = other.s3.objects()

    leadTo(other.s3)

    await expectNoLoss(environment, {
      reason: /that of another database/,
      repair: async () => leadTo(s3),
      contents: () => contentsOf(s3, environment),
    })
    expect(other.s3.files()).toEqual(
      before.filter(({ key }) => !key.startsWith('.landfall/')).map(({ key, size }) => ({ key, size })),
    )
  })

  it('to a bucket with only the marker, and one report of a loss ends nothing', async () => {
    const { s3, environment, leadTo } = await openS3()
    const bare = await standIn()
    await copyMarker(s3, bare)

    leadTo(bare)
    const refused = await environment.app.engine
      .append(ada, environment.open.id, { ...(await next(environment)), ending: 'at-size' })
      .catch((error: unknown) => error)
    await environment.runJobs()
    expect(refused).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((await environment.app.engine.get(ada, environment.open.id)).state).toBe('receiving')

    leadTo(s3)
    await environment.sendRest()
    expect(await contentsOf(s3, environment)).toEqual({
      finished: environment.finished.bytes,
      open: environment.open.bytes,
    })
  })

  it('alternately to two buckets, and no byte is lost', async () => {
    const { s3, environment, leadTo } = await openS3()
    const empty = await standIn()
    const flapping = (async () => {
      for (let turns = 0; turns < 6; turns += 1) {
        leadTo(turns % 2 === 0 ? empty : s3)
        await environment.readiness()
        await environment.runJobs()
      }
      leadTo(s3)
    })()

    await Promise.all([flapping, environment.sendRest()])

    expect(await contentsOf(s3, environment)).toEqual({
      finished: environment.finished.bytes,
      open: environment.open.bytes,
    })
    expect(empty.files()).toEqual([])
  })
})

describe('a server started with', () => {
  it.each([
    ['the name of another bucket', { S3_BUCKET: 'elsewhere' }, /does not exist|has no marker/],
    ['another prefix', { S3_PREFIX: 'elsewhere/' }, /has no marker/],
  ])('%s reports why it waits, and writes nothing', async (_, wrong, reason) => {
    const { s3, environment } = await openS3()
    const before = s3.objects()

    await expect(environment.restart(wrong)).rejects.toThrow(reason)
    expect(s3.objects().filter(({ key }) => key !== markerKey)).toEqual(before.filter(({ key }) => key !== markerKey))

    await environment.restart()
    await environment.sendRest()
    expect(await contentsOf(s3, environment)).toEqual({
      finished: environment.finished.bytes,
      open: environment.open.bytes,
    })
  })
})

async function openS3() {
  const s3 = await standIn()
  const { endpoint, leadTo } = await switchTo(s3)
  const environment = await openEnvironment({ ...s3.settings, S3_ENDPOINT: endpoint, STORE: 's3' })
  return { s3, environment, leadTo }
}

async function standIn(): Promise<S3StandIn> {
  const server = await startS3StandIn()
  onTestFinished(() => server.close())
  return server
}

/** A proxy to one server that can be switched to another. */
async function switchTo(first: S3StandIn) {
  let port = Number(new URL(first.endpoint).port)
  const open = new Set<net.Socket>()
  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.on('close', () => open.delete(socket)).on('error', () => {})
    }
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  onTestFinished(() => {
    cut()
    server.close()
  })
  return {
    endpoint: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    leadTo(next: S3StandIn) {
      port = Number(new URL(next.endpoint).port)
      cut()
    },
  }
}

async function copyMarker(from: S3StandIn, to: S3StandIn): Promise<void> {
  const bytes = (await from.bytesOf(markerKey))!
  const store = openStore('s3', loadConfig({ ...to.settings, STORE: 's3' }))
  await store.put(markerKey, { size: bytes.length, chunks: () => [bytes] }, { contentType: 'application/json' })
  await store.close()
}

async function next({ app, open }: Environment) {
  const { offset } = await app.engine.get(ada, open.id)
  return { offset, body: bodyOf(open.bytes.subarray(offset)), bodySize: null }
}

async function contentsOf(s3: S3StandIn, { app, finished, open }: Environment) {
  const { key } = await app.engine.get(ada, open.id)
  return { finished: await s3.bytesOf(finished.key), open: await s3.bytesOf(key) }
}
