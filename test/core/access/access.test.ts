import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Action, actions } from '../../../src/core/access/actions.ts'
import type { AuthorizationRequest } from '../../../src/core/access/authorization.ts'
import type { RunningEngine } from '../../../src/core/engine.ts'
import { isUploadError, UploadError } from '../../../src/core/errors/error.ts'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { bodyOf, openEngine } from '../../support/open-engine.ts'

const creation = (size: number) => ({ size, filename: 'notes.txt', contentType: 'text/plain' })
const bytes = Buffer.from('hello')
const chunk = (offset: number, part: Buffer) =>
  ({ offset, body: bodyOf(part), bodySize: part.length, ending: 'at-size' }) as const

type Operation = (engine: RunningEngine, actor: Actor, id: string) => Promise<unknown>

/** Every operation on one upload, by its action. */
const operations: Record<Exclude<Action, 'create' | 'list' | 'subscribe'>, Record<string, Operation>> = {
  append: {
    append: (engine, actor, id) => engine.append(actor, id, chunk(0, bytes)),
    uploadPart: (engine, actor, id) => engine.uploadPart(actor, id, { number: 1, body: bodyOf(bytes), bodySize: 5 }),
    setFingerprint: (engine, actor, id) => engine.setFingerprint(actor, id, 'file-1'),
  },
  read: {
    get: (engine, actor, id) => engine.get(actor, id),
    listParts: (engine, actor, id) => engine.listParts(actor, id),
    status: (engine, actor, id) => engine.status(actor, id),
  },
  complete: { complete: (engine, actor, id) => engine.complete(actor, id) },
  cancel: { cancel: (engine, actor, id) => engine.cancel(actor, id) },
  retry: { countParts: (engine, actor, id) => engine.countParts(actor, id, 'retry') },
  finish: { completeAsAdmin: (engine, actor, id) => engine.completeAsAdmin(actor, id) },
  expire: { expireAsAdmin: (engine, actor, id) => engine.expireAsAdmin(actor, id) },
  download: { file: (engine, actor, id) => engine.file(actor, id, 'download') },
  link: {
    file: (engine, actor, id) => engine.file(actor, id, 'link'),
    revokeLinks: (engine, actor, id) => engine.revokeLinks(actor, id),
  },
}
const each = Object.entries(operations).flatMap(([action, its]) =>
  Object.entries(its).map(([name, ask]) => [name, action as Action, ask] as const),
)
const writes: Action[] = ['append', 'complete']
const ofFile: Action[] = ['download', 'link']
const ofResumeToken: Action[] = [...writes, 'read', 'cancel']
const ofOwner: Action[] = [...ofResumeToken, 'retry', ...ofFile]
const ofAdmin: Action[] = ['read', 'cancel', 'finish', 'expire', 'retry', ...ofFile]

/** Callers, and what they may do to the upload of ann of acme. For everything else the upload does not exist. */
const callers: [string, (id: string) => Partial<Actor>, Action[]][] = [
  ['the owner', () => ({}), ofOwner],
  ['another user', () => ({ id: 'eve' }), []],
  ['the same name in another tenant', () => ({ tenant: 'globex' }), []],
  ['the same name outside of every tenant', () => ({ tenant: null }), []],
  ['an admin', () => ({ id: 'root', tenant: null, isAdmin: true }), ofAdmin],
  ['an admin of the tenant', () => ({ id: 'boss', isAdmin: true }), ofAdmin],
  ['an admin of another tenant', () => ({ id: 'boss', tenant: 'globex', isAdmin: true }), []],
  ['an admin of another tenant with the name of the owner', () => ({ tenant: 'globex', isAdmin: true }), []],
  ['a key that may send', () => ({ scopes: ['upload'] }), ['read', 'retry', ...writes]],
  ['a key that may read', () => ({ scopes: ['read'] }), ['read', ...ofFile]],
  ['a key that may cancel', () => ({ scopes: ['cancel'] }), ['cancel']],
  ['a key of another user', () => ({ id: 'eve', scopes: ['upload', 'read', 'cancel'] }), []],
  ['the resume token of this upload', (id) => ({ resumeUploadId: id }), ofResumeToken],
  ['the resume token of another upload', () => ({ resumeUploadId: randomUUID() }), []],
  ['the resume token of this upload for another user', (id) => ({ id: 'eve', resumeUploadId: id }), []],
]

describe.each(callers)('%s', (name, more, allowed) => {
  const isKeyOfOwner = name.startsWith('a key that')

  it.each(each)('may or may not ask for %s', async (_operation, action, ask) => {
    const { engine } = await openEngine()
    const ann = userOf('ann', 'creator', { tenant: 'acme' })
    const { id } = await engine.create(ann, creation(5))
    const { body, bodySize } = chunk(0, bytes)
    if (['complete', 'finish'].includes(action))
      await engine.append(ann, id, { offset: 0, body, bodySize, ending: 'later' })
    if (ofFile.includes(action)) await engine.append(ann, id, { offset: 0, body, bodySize, ending: 'at-size' })

    const result = ask(engine, { ...ann, ...more(id) }, id)

    if (allowed.includes(action)) await result
    else await expect(result).rejects.toMatchObject({ code: codeFor(action) })
  })

  /** An owner knows that the upload exists, and learns why the action is refused. */
  function codeFor(action: Action): string {
    if (isKeyOfOwner) return 'FORBIDDEN'
    if (allowed.length === 0 || !['finish', 'expire', 'retry', ...ofFile].includes(action)) return 'UPLOAD_NOT_FOUND'
    return name.startsWith('the resume token') ? 'UNAUTHENTICATED' : 'FORBIDDEN'
  }
})

it('every action is tried', () => {
  expect(['create', 'list', 'subscribe', ...Object.keys(operations)].sort()).toEqual(Object.keys(actions).sort())
})

describe('a list', () => {
  it('has the uploads of the same user of the same tenant', async () => {
    const { engine } = await openEngine()
    const ann = userOf(randomUUID(), 'creator', { tenant: 'acme' })
    const { id } = await engine.create(ann, creation(5))

    const idsFor = async (more: Partial<Actor>) =>
      (await engine.list({ ...ann, ...more }, { limit: 9 })).map((upload) => upload.id)

    expect(await idsFor({})).toEqual([id])
    expect(await idsFor({ tenant: null })).toEqual([])
    expect(await idsFor({ tenant: 'globex' })).toEqual([])
    expect(await idsFor({ id: 'root', isAdmin: true })).toEqual([])
  })

  it('is denied to keys without `read`, and creation to keys without `upload`', async () => {
    const { engine } = await openEngine()

    await expect(engine.list(userOf('ann', 'creator', { scopes: ['upload'] }), { limit: 9 })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })
    await expect(engine.create(userOf('ann', 'creator', { scopes: ['read'] }), creation(5))).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })
  })

  it('is denied to a resume token, and so is creation', async () => {
    const { engine } = await openEngine()
    const phone = userOf('ann', 'creator', { resumeUploadId: randomUUID() })

    await expect(engine.list(phone, { limit: 9 })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    await expect(engine.create(phone, creation(5))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })
})

describe('a resume token', () => {
  it('cannot delete the completed file', async () => {
    const { engine, store } = await openEngine()
    const { id, phone } = await createUpload(engine)
    await engine.append(phone, id, chunk(0, bytes))

    await expect(engine.cancel(phone, id)).rejects.toMatchObject({ code: 'UPLOAD_COMPLETED' })
    expect(store.objects.size).toBe(1)
  })

  it('reads the completed upload for a day', async () => {
    let time = Date.now()
    const { engine } = await openEngine({ now: () => new Date(time) })
    const { id, phone } = await createUpload(engine)
    await engine.append(phone, id, chunk(0, bytes))

    time += 23 * 3_600_000
    expect((await engine.status(phone, id)).state).toBe('completed')
    time += 2 * 3_600_000
    await expect(engine.status(phone, id)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  it('reads that its upload has expired', async () => {
    let time = Date.now()
    const { engine } = await openEngine({ now: () => new Date(time) })
    const { id, phone } = await createUpload(engine)

    time += 30 * 24 * 3_600_000

    await expect(engine.status(phone, id)).rejects.toMatchObject({ code: 'UPLOAD_EXPIRED' })
  })
})

describe('an admin', () => {
  it('does not complete an upload by reading it', async () => {
    let isBlocked = true
    const { engine } = await openEngine({ authorizer: unless(() => isBlocked) })
    const ann = userOf('ann', 'creator')
    const { id } = await engine.create(ann, creation(5))
    await expect(engine.append(ann, id, chunk(0, bytes))).rejects.toMatchObject({ code: 'FORBIDDEN' })

    const upload = await engine.status(userOf('root', 'creator', { isAdmin: true }), id)
    isBlocked = false

    expect(upload).toMatchObject({ state: 'receiving', offset: 5 })
    expect((await engine.status(ann, id)).state).toBe('completed')
  })
})

describe('a user who may no longer complete an upload', () => {
  const ways: [string, (engine: RunningEngine, actor: Actor, id: string) => Promise<unknown>][] = [
    ['with the last bytes', (engine, actor, id) => engine.append(actor, id, chunk(3, bytes.subarray(3)))],
    [
      'with the last bytes, declared the last',
      (engine, actor, id) => engine.append(actor, id, { ...chunk(3, bytes.subarray(3)), ending: 'with-body' }),
    ],
    [
      'by reading the offset of a full upload',
      async (engine, actor, id) => {
        await engine.append(actor, id, { ...chunk(3, bytes.subarray(3)), ending: 'later' })
        return engine.status(actor, id)
      },
    ],
    [
      'explicitly',
      async (engine, actor, id) => {
        await engine.append(actor, id, { ...chunk(3, bytes.subarray(3)), ending: 'later' })
        return engine.complete(actor, id)
      },
    ],
  ]

  it.each(ways)('cannot do so %s, and every byte is kept', async (_way, complete) => {
    let isBlocked = false
    const { engine, store } = await openEngine({ authorizer: unless(() => isBlocked) })
    const ann = userOf('ann', 'creator')
    const { id } = await engine.create(ann, creation(5))
    await engine.append(ann, id, chunk(0, bytes.subarray(0, 3)))

    isBlocked = true
    await expect(complete(engine, ann, id)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(await engine.get(ann, id)).toMatchObject({ state: 'receiving', offset: 5 })
    isBlocked = false

    expect(await engine.status(ann, id)).toMatchObject({ state: 'completed', offset: 5 })
    await engine.drained()
    expect([...store.objects.values()]).toEqual([bytes])
  })

  it('cannot complete an empty file by creating it', async () => {
    const { engine } = await openEngine({ authorizer: unless(() => true) })
    const ann = userOf(randomUUID(), 'creator')

    await expect(engine.create(ann, creation(0))).rejects.toMatchObject({ code: 'FORBIDDEN' })

    expect(await engine.list(ann, { limit: 9 })).toMatchObject([{ state: 'receiving' }])
  })
})

it('the authorizer is asked at the start of a request and before completion only', async () => {
  const requests: AuthorizationRequest[] = []
  const { engine } = await openEngine({ authorizer: async (request) => void requests.push(request) })
  const ann = userOf('ann', 'creator')
  const { id } = await engine.create(ann, creation(100_000))

  await engine.append(ann, id, { ...chunk(0, Buffer.alloc(0)), ...slowBody(randomBytes(100_000)) })
  await engine.cancel(ann, id)

  expect(requests.map(({ action }) => action)).toEqual(['create', 'append', 'complete', 'cancel'])
  expect(requests[0]).toMatchObject({
    actor: ann,
    creation: { filename: 'notes.txt', category: 'document', size: 100_000 },
  })
  expect(requests[1]).toMatchObject({ actor: ann, upload: { id, state: 'receiving' } })
})

it('a request that cancels its own append needs no other scope', async () => {
  const { engine } = await openEngine()
  const key = userOf('ann', 'creator', { scopes: ['upload'] })
  const { id } = await engine.create(key, creation(5))

  await expect(engine.cancel(userOf('root', 'creator', { isAdmin: true }), id, { endsAppend: true })).rejects.toThrow()
  await engine.cancel(key, id, { endsAppend: true })

  expect((await engine.get(key, id)).state).toBe('cancelled')
})

it('an operation that the authorizer denies is not done', async () => {
  const { engine } = await openEngine({
    authorizer: async ({ action }) => {
      if (action === 'cancel') throw new UploadError('FORBIDDEN', 'No.')
    },
  })
  const ann = userOf('ann', 'creator')
  const { id } = await engine.create(ann, creation(5))

  await expect(engine.cancel(ann, id)).rejects.toSatisfy((thrown) => isUploadError(thrown, 'FORBIDDEN'))

  expect((await engine.append(ann, id, chunk(0, bytes))).state).toBe('completed')
})

async function createUpload(engine: RunningEngine) {
  const ann = userOf('ann', 'creator')
  const { id } = await engine.create(ann, creation(5))
  return { id, ann, phone: { ...ann, resumeUploadId: id } }
}

/** Denies completion while `isBlocked`. */
function unless(isBlocked: () => boolean) {
  return async ({ action }: AuthorizationRequest) => {
    if (action === 'complete' && isBlocked()) throw new UploadError('FORBIDDEN', 'You were blocked.')
  }
}

function slowBody(content: Buffer) {
  const chunks = Array.from({ length: 10 }, (_, at) => content.subarray(at * 10_000, (at + 1) * 10_000))
  return { body: bodyOf(chunks), bodySize: content.length }
}
