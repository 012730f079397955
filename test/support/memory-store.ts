import { createHash, randomUUID } from 'node:crypto'
import { UploadError } from '../../src/core/errors/error.ts'
import { isServersOwn } from '../../src/core/pairing/marker.ts'
import {
  type Bytes,
  NoSuchKey,
  NoSuchUpload,
  ObjectExists,
  type ObjectMetadata,
  type ObjectStore,
} from '../../src/core/ports.ts'
import type { StoredPart } from '../../src/core/upload.ts'

/** A store in memory that is as strict as R2 and fails when it is told to. */
export interface MemoryStore extends ObjectStore {
  objects: Map<string, Buffer>
  /** What each object of an upload says of itself. */
  metadata: Map<string, ObjectMetadata>
  multiparts: Map<string, { key: string; partSize: number; about: ObjectMetadata; parts: Map<number, Buffer> }>
  /** Calls for uploads by name, in order. */
  calls: string[]
  /** Called before (`at` 'before') and after the effect of every call; throwing there is a refusal or a lost answer. */
  fault: (call: string, at: 'before' | 'after', key: string) => void | Promise<void>
}

export const unavailable = () =>
  new UploadError('STORE_UNAVAILABLE', 'The store does not answer. Please try again in a moment.')

/** An empty one. */
export function memoryStore(limits: Partial<ObjectStore['limits']> = {}): MemoryStore {
  const objects: MemoryStore['objects'] = new Map()
  const abouts: MemoryStore['metadata'] = new Map()
  // The marker and the probe of readiness are no uploads: they are not among the objects, and not among the calls.
  const own: MemoryStore['objects'] = new Map()
  const shelf = (key: string) => (isServersOwn(key) ? own : objects)
  const multiparts: MemoryStore['multiparts'] = new Map()
  const calls: string[] = []

  async function call<T>(name: string, key: string, work: () => Promise<T> | T): Promise<T> {
    if (!isServersOwn(key)) calls.push(name)
    await store.fault(name, 'before', key)
    const result = await work()
    await store.fault(name, 'after', key)
    return result
  }

  function open(multipartId: string) {
    const multipart = multiparts.get(multipartId)
    if (!multipart) throw new NoSuchUpload('no such upload')
    return multipart
  }

  const store: MemoryStore = {
    name: 'memory',
    limits: { minPartSize: 5, maxPartSize: 1024 ** 3, maxParts: 10_000, maxObjectSize: 5 * 1024 ** 4, ...limits },
    objects,
    metadata: abouts,
    multiparts,
    calls,
    fault: () => {},
    async check() {},
    createMultipart: (key, { partSize, onDoubt: _, ...about }) =>
      call('createMultipart', key, () => {
        const handle = randomUUID()
        multiparts.set(handle, { key, partSize, about, parts: new Map() })
        return handle
      }),
    async uploadPart(key, multipartId, number, bytes) {
      const buffer = await collect(bytes)
      return call('uploadPart', key, () => {
        open(multipartId).parts.set(number, buffer)
        return { number, size: buffer.length, etag: etagOf(buffer) }
      })
    },
    copyPart: (key, multipartId, number, source) =>
      call('copyPart', key, () => {
        const from = objects.get(source.key)
        if (!from) throw new NoSuchKey('no such object')
        const buffer = from.subarray(source.start, source.end)
        open(multipartId).parts.set(number, buffer)
        return { number, size: buffer.length, etag: etagOf(buffer) }
      }),
    completeMultipart: (key, multipartId, parts) =>
      call('completeMultipart', key, () => {
        const done = objects.get(key)
        if (!multiparts.has(multipartId) && done) return { size: done.length, etag: etagOf(done) }
        const { parts: written, partSize, about: metadata } = open(multipartId)
        const buffers = parts.map(({ number, etag }: StoredPart, index) => {
          const buffer = written.get(number)
          if (number !== index + 1 || !buffer || etagOf(buffer) !== etag) throw new NoSuchUpload('invalid part')
          if (index < parts.length - 1 && buffer.length !== partSize)
            throw new Error(`part ${number} has ${buffer.length} and not ${partSize} bytes`)
          if (buffer.length > partSize) throw new Error('the last part is longer than the others')
          return buffer
        })
        const object = Buffer.concat(buffers)
        objects.set(key, object)
        abouts.set(key, metadata)
        multiparts.delete(multipartId)
        return { size: object.length, etag: etagOf(object) }
      }),
    abortMultipart: (key, multipartId) =>
      call('abortMultipart', key, () => {
        for (const [name, multipart] of multiparts)
          if (multipart.key === key && (multipartId === null || multipartId === name)) multiparts.delete(name)
      }),
    async put(key, bytes, { isNew, ...about }) {
      const buffer = await collect(bytes)
      return call('put', key, () => {
        const there = shelf(key).get(key)
        if (isNew && there && !there.equals(buffer)) throw new ObjectExists('there is another object already')
        shelf(key).set(key, buffer)
        if (!isServersOwn(key)) abouts.set(key, about)
        return { size: buffer.length, etag: etagOf(buffer) }
      })
    },
    originOf: async (key) => (objects.has(key) ? (abouts.get(key)?.origin ?? null) : null),
    stat: (key) =>
      call('stat', key, () => {
        const object = shelf(key).get(key)
        return object ? { size: object.length, etag: etagOf(object) } : null
      }),
    async *read(key, range) {
      const object = await call('read', key, () => shelf(key).get(key))
      if (!object) throw new NoSuchKey('no such object')
      yield object.subarray(range?.start ?? 0, range?.end ?? object.length)
    },
    remove: (keys) =>
      call('remove', keys[0] ?? '', () => {
        for (const key of keys) shelf(key).delete(key)
      }),
    async *list(prefix) {
      for (const key of [...objects.keys()]) if (key.startsWith(prefix)) yield key
    },
    async close() {},
  }
  return store
}

async function collect(bytes: Bytes): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of bytes.chunks()) chunks.push(chunk)
  const buffer = Buffer.concat(chunks)
  if (buffer.length !== bytes.size) throw new Error(`${buffer.length} bytes came and ${bytes.size} were said`)
  return buffer
}

function etagOf(buffer: Buffer): string {
  return createHash('md5').update(buffer).digest('hex')
}
