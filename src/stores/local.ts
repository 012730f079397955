/*
 * Files under a directory. An object is a file at its key. An open multipart upload is one staging file into which every
 * part is written at its place, so that finishing is a rename and no byte is written twice. What is written is on the disk
 * before it is acknowledged, unless LOCAL_FSYNC says otherwise: then a kill of the process loses nothing, and a loss of
 * power may.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  open,
  opendir,
  readdir,
  readFile as readText,
  rm,
  stat,
  statfs,
  unlink,
  writeFile as writeText,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { errors } from '../core/errors/errors.ts'
import {
  type Bytes,
  maxPartsOfAnyStore,
  NoSuchKey,
  NoSuchUpload,
  ObjectExists,
  type ObjectInfo,
  type ObjectStore,
} from '../core/ports.ts'
import {
  copyRange,
  hasSameBytes,
  makeFolder,
  moveFile,
  nullIfMissing,
  removeEmptyFolders,
  serialize,
  syncFolders,
  toStoreError,
  withStoreErrors,
  writeAt,
} from './files.ts'
import { createHome } from './home.ts'

export const localOptions = z.object({
  DATA_DIR: z
    .string()
    .default('./data')
    .transform((path) => resolve(path))
    .describe('The folder for files, the embedded database and the development secret'),
  LOCAL_FSYNC: z
    .stringbool()
    .prefault('true')
    .describe(
      'Whether bytes are forced to the disk before they are acknowledged; without it a power cut may lose some',
    ),
})

export interface LocalOptions {
  directory: string
  fsync: boolean
}

const privateFolder = '.landfall/'
const stagingFolder = `${privateFolder}staging`
const originFolder = `${privateFolder}origins`

/** The store under `directory`; `prepare` makes what is not there. */
export function localStore({ directory, fsync }: LocalOptions): ObjectStore {
  const root = resolve(directory)
  const staging = join(root, stagingFolder)
  const making = { fsync, anchor: join(root, privateFolder) }
  const inTurn = serialize()
  const home = createHome(staging, making)

  function pathOf(key: string): string {
    const segments = key.split('/')
    const isUnsafe = segments.some(
      (segment) => segment === '' || segment === '.' || segment === '..' || /[\0\\]/.test(segment),
    )
    if (isUnsafe) throw new Error('an object key must be a relative path without dots')
    return join(root, ...segments)
  }

  // A handle names the file: whose it is, how long its parts are, and which of several it is.
  const stagingPrefix = (key: string) => createHash('sha256').update(key).digest('hex').slice(0, 32)
  const isHandle = (multipartId: string, prefix: string) =>
    multipartId.startsWith(prefix) && /^[0-9a-f]{32}_\d+_[0-9a-f-]{36}$/.test(multipartId)
  function stagingPath(key: string, multipartId: string): string {
    if (!isHandle(multipartId, stagingPrefix(key))) throw new NoSuchUpload('not a handle of this key')
    return join(staging, multipartId)
  }

  /**
   * Where an object lies until it is whole; so chosen that whoever cleans up after a crash comes upon it: by `list` among
   * the private objects, whose keys only their folder tells, and by `abort` with the key of any other.
   */
  function temporaryPath(key: string): string {
    const folder = key.startsWith(privateFolder) ? dirname(pathOf(key)) : staging
    return join(folder, `${stagingPrefix(key)}_put_${randomUUID()}`)
  }

  async function factsOf(path: string): Promise<ObjectInfo | null> {
    const found = await stat(path).catch(nullIfMissing)
    return found?.isFile()
      ? {
          size: found.size,
          etag: `${found.ino.toString(16)}-${found.size.toString(16)}-${Math.floor(found.mtimeMs).toString(16)}`,
        }
      : null
  }

  async function writeFile(path: string, bytes: Bytes): Promise<void> {
    const file = await home.openNew(path)
    try {
      await writeAt(file, bytes, 0)
      if (fsync) await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** A file has no room for what its object says of itself: that lies beside it, under a name that any key leads to. */
  function originPath(key: string): string {
    const name = createHash('sha256').update(key).digest('hex')
    return join(root, originFolder, name.slice(0, 2), name)
  }

  /** Before the object is there. It is not forced to the disk: it is read only when a database was lost. */
  async function writeOrigin(key: string, origin: string): Promise<void> {
    const path = originPath(key)
    try {
      await writeText(path, origin)
    } catch (error) {
      nullIfMissing(error)
      await makeFolder(dirname(path), making)
      await writeText(path, origin)
    }
  }

  async function* walk(folder: string, key: string): AsyncGenerator<string> {
    const entries = await withStoreErrors(() => opendir(folder).catch(nullIfMissing))
    if (!entries) return
    for await (const entry of entries) {
      const name = key === '' ? entry.name : `${key}/${entry.name}`
      if (name === stagingFolder || name === originFolder) continue
      if (entry.isDirectory()) yield* walk(join(folder, entry.name), name)
      else yield name
    }
  }

  return {
    name: 'local',
    limits: {
      // Small enough that most chunks are parts and leave no tail, large enough that receipts cost less than bytes.
      minPartSize: 64 * 1024,
      maxPartSize: 1024 ** 4,
      maxParts: maxPartsOfAnyStore,
      maxObjectSize: 5 * 1024 ** 4,
      // One is written while the next one comes in; more of them only take memory that is not warm.
      partsInFlight: 2,
    },

    prepare: () => withStoreErrors(() => makeFolder(staging, { fsync })),

    place: () => withStoreErrors(home.place),
    stayAt: home.stayAt,

    check: () =>
      withStoreErrors(async () => {
        const { bavail } = await statfs(root)
        if (bavail === 0) throw errors.diskFull()
        // Always the same name: of a process that dies here at most this one file is left.
        const probe = join(staging, 'probe')
        await (await open(probe, 'w')).close()
        await unlink(probe).catch(nullIfMissing)
      }),

    createMultipart: (key, { partSize, origin }) =>
      withStoreErrors(async () => {
        pathOf(key)
        const multipartId = `${stagingPrefix(key)}_${partSize}_${randomUUID()}`
        await (await home.openNew(stagingPath(key, multipartId))).close()
        if (origin) await writeOrigin(key, origin)
        // A part is on the disk only when the name of its file is.
        if (fsync) await syncFolders(staging, staging)
        return multipartId
      }),

    uploadPart: (key, multipartId, number, bytes) =>
      withStoreErrors(async () => {
        const partSize = Number(multipartId.split('_')[1])
        const path = stagingPath(key, multipartId)
        const file = await home.openStaged(path)
        try {
          const sum = await inTurn(path, () => writeAt(file, bytes, (number - 1) * partSize))
          if (fsync) await file.datasync()
          return { number, size: bytes.size, etag: etagOf(sum, bytes.size) }
        } finally {
          await file.close()
        }
      }),

    copyPart: (key, multipartId, number, { key: source, start, end }) =>
      withStoreErrors(async () => {
        const partSize = Number(multipartId.split('_')[1])
        const from = await open(pathOf(source), 'r').catch(nullIfMissing)
        if (!from) throw new NoSuchKey('no such object')
        try {
          const path = stagingPath(key, multipartId)
          const to = await home.openStaged(path)
          try {
            const sum = await inTurn(path, () => copyRange(from, { start, end }, to, (number - 1) * partSize))
            if (fsync) await to.datasync()
            return { number, size: end - start, etag: etagOf(sum, end - start) }
          } finally {
            await to.close()
          }
        } finally {
          await from.close()
        }
      }),

    completeMultipart: (key, multipartId, parts) =>
      withStoreErrors(async () => {
        const path = pathOf(key)
        const size = parts.reduce((sum, part) => sum + part.size, 0)
        const staged = stagingPath(key, multipartId)
        const found = await stat(staged).catch(nullIfMissing)
        if (!found) {
          const done = await factsOf(path)
          if (done?.size === size) return done
          throw new NoSuchUpload('neither the staging file nor the object is there')
        }
        if (found.size < size) throw new NoSuchUpload('the staging file is shorter than its parts')
        const file = await home.openStaged(staged)
        try {
          // Bytes of a part that was written and never recorded.
          if (found.size > size) await file.truncate(size)
          if (fsync) await file.sync()
        } finally {
          await file.close()
        }
        await moveFile(staged, path, making)
        return (await factsOf(path))!
      }),

    abortMultipart: (key, multipartId) =>
      withStoreErrors(async () => {
        const mine = stagingPrefix(key)
        if (multipartId !== null)
          return isHandle(multipartId, mine) ? rm(join(staging, multipartId), { force: true }) : undefined
        for (const name of (await readdir(staging).catch(nullIfMissing)) ?? [])
          if (name.startsWith(mine)) await rm(join(staging, name), { force: true })
        if (!(await factsOf(pathOf(key)))) await rm(originPath(key), { force: true })
      }),

    put: (key, bytes, metadata) =>
      withStoreErrors(async () => {
        const path = pathOf(key)
        const temporary = temporaryPath(key)
        try {
          await writeFile(temporary, bytes)
          if (metadata.origin) await writeOrigin(key, metadata.origin)
          await moveFile(temporary, path, { ...making, isNew: metadata.isNew })
        } catch (error) {
          // From an attempt whose answer was lost, or from somebody who should not have written.
          const isOurs = error instanceof ObjectExists && (await hasSameBytes(temporary, path))
          await rm(temporary, { force: true })
          if (!isOurs) throw error
        }
        return (await factsOf(path))!
      }),

    stat: (key) => withStoreErrors(() => factsOf(pathOf(key))),

    originOf: (key) =>
      withStoreErrors(async () => {
        const text = await readText(originPath(key), 'utf8').catch(nullIfMissing)
        return text === null || !(await factsOf(pathOf(key))) ? null : text
      }),

    async *read(key, range) {
      const file = await withStoreErrors(() => open(pathOf(key), 'r').catch(nullIfMissing))
      if (!file) throw new NoSuchKey('no such object')
      const end = range ? { start: range.start, end: range.end - 1 } : {}
      if (range && range.end <= range.start) return void (await file.close())
      try {
        yield* file.createReadStream({ ...end, highWaterMark: 1024 ** 2 }) as AsyncIterable<Buffer>
      } catch (error) {
        throw toStoreError(error)
      }
    },

    remove: (keys) =>
      withStoreErrors(async () => {
        for (const key of keys) {
          const path = pathOf(key)
          await unlink(path).catch(nullIfMissing)
          if (!key.startsWith(privateFolder)) await rm(originPath(key), { force: true })
          await removeEmptyFolders(dirname(path), root)
        }
      }),

    async *list(prefix) {
      const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1).replace(/\/$/, '')
      for await (const key of walk(folder === '' ? root : pathOf(folder), folder)) if (key.startsWith(prefix)) yield key
    },

    async close() {},
  }
}

/** The ETag of a part: the CRC-32 of its bytes and their number. The same bytes have the same one. */
function etagOf(sum: number, size: number): string {
  return `${sum.toString(16).padStart(8, '0')}-${size.toString(16)}`
}
