import { describe, expect, it } from 'vitest'
import type { EngineContext } from '../../../src/core/engine-context.ts'
import { errors } from '../../../src/core/errors/errors.ts'
import type { Lease } from '../../../src/core/lease.ts'
import { OrphanLedger } from '../../../src/core/orphan-ledger.ts'
import type { BodyWriter } from '../../../src/core/parts/body-writer.ts'
import type { UploadPatch } from '../../../src/core/ports/uploads.ts'
import { ContentGate, type gateTransitions } from '../../../src/core/receive/content-gate.ts'
import type { UploadRecord } from '../../../src/core/upload.ts'
import { uploadRecord } from '../../support/upload-record.ts'

type State = keyof typeof gateTransitions
type Call = 'take' | 'flush' | 'close' | 'discard'

const declared = { contentType: 'text/plain', category: 'document', key: 'declared-key' }
const rejection = errors.typeNotAllowed({ role: 'creator', contentType: 'image/png', rule: 'mediaTypes' })
const down = errors.databaseUnavailable({})

/** A gate that looks at four bytes of an upload. The test says when it has looked, and when the writer has taken a chunk. */
function openGate({ refuses = false, awaitsDigest = false, row = {} as Partial<UploadRecord> } = {}) {
  const upload = uploadRecord({ ...declared, ...row })
  const saves: UploadPatch[] = []
  const lease: Lease = {
    upload,
    isReleased: false,
    ledger: new OrphanLedger(upload),
    signal: new AbortController().signal,
    async confirm() {},
    async save(patch) {
      saves.push(patch)
      Object.assign(upload, patch)
    },
    readUnlocked: async () => true,
  }
  const looked = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  const calls: string[] = []
  let position = upload.offset - (upload.prefix?.length ?? 0)
  const called = (name: string) => void calls.push(name)
  const writer: BodyWriter = {
    get position() {
      return position
    },
    take(chunk) {
      position += chunk.length
      called(`take ${chunk}`)
      return taken.promise
    },
    flush: async () => called('flush'),
    async close() {
      called('close')
      return { object: null, parts: null }
    },
    discard: async () => called('discard'),
  }
  const content = {
    sniffLength: 4,
    async sniff() {
      await looked.promise
      return { mediaType: 'image/png', isText: false }
    },
    rules: [
      () => {
        if (refuses) throw rejection
      },
    ],
  }
  const policies = () => ({ roles: { creator: {} } })
  const context = { policies, nameObject: () => 'name', settings: {}, newId: () => 'id' } as unknown as EngineContext
  const gate = new ContentGate(context, writer, lease, {
    content,
    size: 100,
    awaitsDigest,
    by: null,
    expiryPatch: () => ({}),
    onRecorded() {},
  })
  const take = (text: string) => Promise.resolve(gate.take(Buffer.from(text)))
  return { gate, take, calls, saves, upload, lease, looked, taken }
}

type Opened = ReturnType<typeof openGate>

/** A gate in a state, with the bytes `abcd`, or `ab` while it waits for more. */
async function gateThatIs(state: State, awaitsDigest = false): Promise<Opened> {
  const opened = openGate({ refuses: state === 'refused', awaitsDigest })
  const { gate, take, looked, taken } = opened
  await take('ab')
  if (state === 'waiting') return opened
  const opening = take('cd')
  opening.catch(() => {})
  if (state === 'failed') looked.reject(down)
  else if (state !== 'looking') looked.resolve()
  if (state === 'open') taken.resolve()
  while (gate.state !== state) await new Promise((resolve) => setImmediate(resolve))
  return opened
}

/** What a call does, when looking and taking have ended: what the writer is asked for, and the error. */
async function outcomeOf(
  opened: Opened,
  call: Call,
): Promise<{ calls: string[]; error: unknown; prefix: string | null }> {
  const { gate, take, calls, upload, looked, taken } = opened
  const before = calls.length
  const called: Promise<unknown> = call === 'take' ? take('zz') : gate[call]()
  const settled = called.then(
    () => null,
    (error: unknown) => error,
  )
  looked.resolve()
  taken.resolve()
  const error = await settled
  return { calls: calls.slice(before), error, prefix: upload.prefix && Buffer.from(upload.prefix).toString() }
}

const nothing = { error: null, prefix: null }
const opens = ['take ab', 'take cd']

describe('a content gate', () => {
  it.each<[State, Call, { calls: string[]; error: unknown; prefix: string | null }]>([
    ['waiting', 'take', { ...nothing, calls: ['take ab', 'take zz'] }],
    ['waiting', 'flush', { error: null, prefix: 'ab', calls: ['flush'] }],
    ['waiting', 'close', { ...nothing, calls: ['take ab', 'close'] }],
    ['waiting', 'discard', { ...nothing, calls: ['discard'] }],
    ['looking', 'take', { ...nothing, calls: [...opens, 'take zz'] }],
    ['looking', 'flush', { ...nothing, calls: [...opens, 'flush'] }],
    ['looking', 'close', { ...nothing, calls: [...opens, 'close'] }],
    ['looking', 'discard', { ...nothing, calls: [...opens, 'discard'] }],
    ['passing', 'take', { ...nothing, calls: ['take cd', 'take zz'] }],
    ['passing', 'flush', { ...nothing, calls: ['take cd', 'flush'] }],
    ['passing', 'close', { ...nothing, calls: ['take cd', 'close'] }],
    ['passing', 'discard', { ...nothing, calls: ['take cd', 'discard'] }],
    ['open', 'take', { ...nothing, calls: ['take zz'] }],
    ['open', 'flush', { ...nothing, calls: ['flush'] }],
    ['open', 'close', { ...nothing, calls: ['close'] }],
    ['open', 'discard', { ...nothing, calls: ['discard'] }],
    ['refused', 'take', { ...nothing, calls: [] }],
    ['refused', 'flush', { error: rejection, prefix: null, calls: ['discard'] }],
    ['refused', 'close', { error: rejection, prefix: null, calls: ['discard'] }],
    ['refused', 'discard', { ...nothing, calls: ['discard'] }],
    ['failed', 'take', { error: down, prefix: null, calls: [] }],
    ['failed', 'flush', { error: down, prefix: 'abcd', calls: ['flush'] }],
    ['failed', 'close', { error: down, prefix: 'abcd', calls: ['flush'] }],
    ['failed', 'discard', { ...nothing, calls: ['discard'] }],
  ])('that is %s: %s', async (state, call, expected) => {
    const opened = await gateThatIs(state)

    expect(await outcomeOf(opened, call)).toEqual(expected)
  })

  it('fails the upload at the end of the body, not before', async () => {
    const { gate, upload } = await gateThatIs('refused', true)
    const before = upload.state

    await expect(gate.flush()).rejects.toBe(rejection)

    expect([before, upload.state, upload.failure]).toEqual(['receiving', 'failed', 'type'])
  })

  it('counts the bytes of a refused body, so that its end is known', async () => {
    const { gate, take, taken } = await gateThatIs('refused', true)
    taken.resolve()

    await take('zz')

    expect(gate.position).toBe(6)
  })

  it('saves the type once, before the writer gets a byte', async () => {
    const { gate, take, calls, saves, looked, taken } = openGate()
    taken.resolve()
    const opening = take('abcd')
    const closing = gate.close()
    const before = [...calls]
    looked.resolve()
    await Promise.all([opening, closing])

    expect(before).toEqual([])
    expect(saves).toEqual([{ contentType: 'image/png', category: 'image' }])
  })

  it.each<[string, UploadPatch, string]>([
    ['nothing of the file', {}, 'text/plain'],
    ['a prefix in the row', { prefix: Buffer.from('ab'), offset: 2 }, 'text/plain'],
    ['a multipart upload', { multipartId: 'id' }, 'image/png'],
    ['first bytes, which were a prefix', { prefix: null, offset: 2 }, 'image/png'],
  ])('that discards a body while the row names %s', async (_, saved, contentType) => {
    const { gate, take, lease, upload, looked, taken } = openGate({
      row: saved.offset ? { prefix: Buffer.from('ab'), offset: 2 } : {},
    })
    looked.resolve()
    taken.resolve()
    await take('abcd')
    await lease.save(saved)

    await gate.discard()

    expect(upload.contentType).toBe(contentType)
    expect(upload.category).toBe(contentType === 'image/png' ? 'image' : 'document')
  })
})
