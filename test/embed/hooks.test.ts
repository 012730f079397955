import { describe, expect, it } from 'vitest'
import type { CompletedEvent } from '../../src/features/hooks.ts'
import { memoryStore } from '../support/memory-store.ts'
import { until } from '../support/until.ts'
import { ann, appWith, create, send, tus } from './support.ts'

const bob = { 'x-login': 'bob:free' }
const png = Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), Buffer.alloc(100)])

describe('beforeCreate', () => {
  it('refuses by what the app knows of the user, with its reason', async () => {
    const app = await appWith({
      beforeCreate: ({ user, creation }) =>
        user.plan === 'pro' || (creation.size ?? 0) <= 10 || { because: 'The free plan ends at 10 bytes.' },
    })

    const sizes = [
      await create(app, 11),
      await create(app, 10, { headers: bob }),
      await create(app, 11, { headers: bob }),
    ]

    expect(sizes.map(({ statusCode }) => statusCode)).toEqual([201, 201, 403])
    expect(sizes[2]!.json().error.message).toBe('The free plan ends at 10 bytes.')
  })

  it('is not asked about what the policies refuse', async () => {
    const asked: unknown[] = []
    const app = await appWith({
      policies: { creator: { maxSize: 10 } },
      beforeCreate: ({ creation }) => asked.push(creation.size) > 0,
    })

    expect([(await create(app, 11)).statusCode, (await create(app, 9)).statusCode]).toEqual([413, 201])
    expect(asked).toEqual([9])
  })
})

it('nameObject names objects by the user', async () => {
  const store = memoryStore()
  const app = await appWith({ store, nameObject: ({ user, id }) => `${user.plan}/${user.id}/${id}` })

  const { headers } = await create(app, 5)
  await send(app, headers.location!, 'hello')

  expect([...store.objects.keys()]).toEqual([`pro/ann/${headers.location!.split('/').at(-1)}`])
})

describe('onFirstBytes', () => {
  it('sees what the bytes show, before any of them is stored', async () => {
    const store = memoryStore()
    const seen: unknown[] = []
    const app = await appWith({
      store,
      onFirstBytes: ({ user, upload, bytes }) =>
        seen.push([user.id, upload.contentType, bytes.length, store.objects.size, store.multiparts.size]) > 0,
    })

    const { headers } = await create(app, png.length)
    await send(app, headers.location!, png)

    expect(seen).toEqual([['ann', 'image/png', png.length, 0, 0]])
    expect(store.objects.size).toBe(1)
  })

  it('refuses a file, which has failed then and leaves nothing', async () => {
    const store = memoryStore()
    const app = await appWith({ store, onFirstBytes: () => ({ because: 'No pictures of cats.' }) })

    const { headers } = await create(app, png.length)
    const sent = await send(app, headers.location!, png)
    const again = await app.inject({ method: 'HEAD', url: headers.location!, headers: { ...ann, ...tus } })

    expect([sent.statusCode, sent.json().error.message, again.statusCode]).toEqual([415, 'No pictures of cats.', 410])
    expect([store.objects.size, store.multiparts.size]).toEqual([0, 0])
  })

  it('refuses the first of numbered parts too', async () => {
    const store = memoryStore()
    const app = await appWith({ store, onFirstBytes: () => false })
    const created = await app.inject({
      method: 'POST',
      url: '/uploads/v1/uploads/init',
      headers: ann,
      payload: { file_name: 'a.png', content_type: 'image/png', total_size: png.length },
    })

    const sent = await app.inject({
      method: 'POST',
      url: `${created.headers.location}/chunk`,
      headers: { ...ann, 'x-chunk-index': '0', 'content-type': 'application/octet-stream' },
      payload: png,
    })

    expect([sent.statusCode, store.objects.size]).toEqual([415, 0])
  })

  it('that fails keeps the upload, which goes on when it works again', async () => {
    let isBroken = true
    const app = await appWith({
      onFirstBytes: () => {
        if (isBroken) throw new Error('swordfish')
        return true
      },
    })

    const { headers } = await create(app, png.length)
    const failed = await send(app, headers.location!, png)
    isBroken = false
    const head = await app.inject({ method: 'HEAD', url: headers.location!, headers: { ...ann, ...tus } })
    const offset = Number(head.headers['upload-offset'])
    const sent = await send(app, headers.location!, png.subarray(offset), { 'upload-offset': String(offset) })

    expect([failed.statusCode, head.statusCode, sent.statusCode]).toEqual([503, 200, 204])
    expect(sent.headers['upload-offset']).toBe(String(png.length))
  })
})

describe('beforeComplete', () => {
  it('that refuses keeps the bytes, so the client may try again', async () => {
    const store = memoryStore()
    let isPaid = false
    const app = await appWith({
      store,
      beforeComplete: ({ user, upload }) => isPaid || { because: `${user.id} has not paid for ${upload.filename}.` },
    })

    const { headers } = await create(app, 5)
    const refused = await send(app, headers.location!, 'hello')
    const files = () => [...store.objects.keys()].filter((key) => !key.startsWith('.landfall/'))
    const before = files()
    isPaid = true
    const head = await app.inject({ method: 'HEAD', url: headers.location!, headers: { ...ann, ...tus } })

    expect([refused.statusCode, refused.json().error.message, before]).toEqual([403, 'ann has not paid for file.', []])
    expect([head.statusCode, head.headers['upload-offset'], files().length]).toEqual([200, '5', 1])
  })
})

describe('onUploadCompleted', () => {
  it('is called with the file, and again after a failure', async () => {
    const events: CompletedEvent[] = []
    const app = await appWith({
      onUploadCompleted: (event) => {
        events.push(event)
        if (events.length === 1) throw new Error('the mail server is away')
      },
    })

    const { headers } = await create(app, 5)
    await send(app, headers.location!, 'hello')
    await until(() => events.length === 2)

    expect(events[0]).toMatchObject({
      uploadId: headers.location!.split('/').at(-1),
      ownerId: 'ann',
      role: 'creator',
      filename: 'file',
      contentType: 'text/plain',
      size: 5,
      key: expect.any(String),
    })
    expect(events[1]).toEqual(events[0])
  })
})

it('hooks cannot change who the engine works for', async () => {
  const app = await appWith({
    authorize: ({ actor }) => {
      actor.id = 'eve'
      actor.isAdmin = true
      return true
    },
  })

  const { headers } = await create(app, 5)
  const own = await app.inject({ method: 'HEAD', url: headers.location!, headers: { ...ann, ...tus } })

  expect(own.statusCode).toBe(200)
})
