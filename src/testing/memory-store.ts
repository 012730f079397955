import { createHash, randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { errors } from '../core/errors/errors.ts'
import { isServersOwn } from '../core/pairing/marker.ts'
import {
  type Bytes,
  NoSuchKey,
  NoSuchUpload,
  ObjectExists,
  type ObjectMetadata,
  type ObjectStore,
} from '../core/ports/object-store.ts'
import type { StoredPart } from '../core/upload.ts'

/** A store in memory that is as strict as R2 and fails on demand. */
export interface MemoryStore extends ObjectStore {
  objects: Map<string, Buffer>
  /** The metadata of each object of an upload. */
  metadata: Map<string, ObjectMetadata>
  multiparts: Map<string, { key: string; partSize: number; metadata: ObjectMetadata; parts: Map<number, Buffer> }>
  /** The names of the calls for uploads, in order. */
  calls: string[]
  /** Called before (`at` 'before') and after the effect of every call. Throwing there fails the call or loses its answer. */
  fault: (call: string, at: 'before' | 'after', key: string) => void | Promise<void>
}

export const unavailable = () => errors.storeUnavailable({})

/** An empty memory store. */
export function memoryStore(limits: Partial<ObjectStore['limits']> = {}): MemoryStore {
  const objects: MemoryStore['objects'] = new Map()
  const metadataByKey: MemoryStore['metadata'] = new Map()
  // The pairing marker and the object of the readiness check belong to no upload: `objects` and `calls` leave them out.
  const serversOwn: MemoryStore['objects'] = new Map()
  const objectsFor = (key: string) => (isServersOwn(key) ? serversOwn : objects)
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
    if (!multipart) throw new NoSuchUpload('no such multipart upload')
    return multipart
  }

  const store: MemoryStore = {
    name: 'memory',
    limits: { minPartSize: 5, maxPartSize: 1024 ** 3, maxParts: 10_000, maxObjectSize: 5 * 1024 ** 4, ...limits },
    objects,
    metadata: metadataByKey,
    multiparts,
    calls,
    fault: () => {},
    async check() {},
    createMultipart: (key, { partSize, onAmbiguousCreate: _, ...metadata }) =>
      call('createMultipart', key, () => {
        const multipartId = randomUUID()
        multiparts.set(multipartId, { key, partSize, metadata, parts: new Map() })
        return multipartId
      }),
    async uploadPart(key, multipartId, number, bytes) {
      const buffer = await collect(bytes)
      return call('uploadPart', key, () => {
        open(multipartId).parts.set(number, buffer)
        return { number, ...describe(buffer) }
      })
    },
    copyPart: (key, multipartId, number, source) =>
      call('copyPart', key, () => {
        const from = objects.get(source.key)
        if (!from) throw new NoSuchKey('no such object')
        const buffer = from.subarray(source.start, source.end)
        open(multipartId).parts.set(number, buffer)
        return { number, ...describe(buffer) }
      }),
    completeMultipart: (key, multipartId, parts) =>
      call('completeMultipart', key, () => {
        const done = objects.get(key)
        if (!multiparts.has(multipartId) && done) return { size: done.length, etag: etagOf(done) }
        const { parts: written, partSize, metadata } = open(multipartId)
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
        metadataByKey.set(key, metadata)
        multiparts.delete(multipartId)
        return { size: object.length, etag: etagOf(object) }
      }),
    abortMultipart: (key, multipartId) =>
      call('abortMultipart', key, () => {
        for (const [name, multipart] of multiparts)
          if (multipart.key === key && (multipartId === null || multipartId === name)) multiparts.delete(name)
      }),
    async put(key, bytes, { isNew, ...metadata }) {
      const buffer = await collect(bytes)
      return call('put', key, () => {
        const existing = objectsFor(key).get(key)
        if (isNew && existing && !existing.equals(buffer)) throw new ObjectExists('there is another object already')
        objectsFor(key).set(key, buffer)
        if (!isServersOwn(key)) metadataByKey.set(key, metadata)
        return describe(buffer)
      })
    },
    originOf: async (key) => (objects.has(key) ? (metadataByKey.get(key)?.origin ?? null) : null),
    stat: (key) =>
      call('stat', key, () => {
        const object = objectsFor(key).get(key)
        return object ? { size: object.length, etag: etagOf(object) } : null
      }),
    async *read(key, range) {
      const object = await call('read', key, () => objectsFor(key).get(key))
      if (!object) throw new NoSuchKey('no such object')
      yield object.subarray(range?.start ?? 0, range?.end ?? object.length)
    },
    remove: (keys) =>
      call('remove', keys[0] ?? '', () => {
        for (const key of keys) objectsFor(key).delete(key)
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
  if (buffer.length !== bytes.size) throw new Error(`there are ${buffer.length} bytes, not ${bytes.size}`)
  return buffer
}

function describe(buffer: Buffer) {
  return { size: buffer.length, etag: etagOf(buffer), crc32: crc32(buffer) }
}

function etagOf(buffer: Buffer): string {
  return createHash('md5').update(buffer).digest('hex')
}
