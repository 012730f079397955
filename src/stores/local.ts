/*
 * A store of files under a directory. An object is a file at its key. A multipart upload is one staging file into which every part is
 * written at its offset, so completing it is a rename and no byte is written twice. Bytes are synced to the disk before they are
 * acknowledged, unless LOCAL_FSYNC is off: then a kill of the process still loses nothing, but a power failure may.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import {
  type FileHandle,
  mkdir,
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
import { isServersOwn } from '../core/pairing/marker.ts'
import {
  type Bytes,
  maxPartsOfAnyStore,
  NoSuchKey,
  NoSuchUpload,
  ObjectExists,
  type ObjectInfo,
  type ObjectStore,
  type WrittenObject,
} from '../core/ports/object-store.ts'
import { durableFolders, syncPath } from './durable-folders.ts'
import {
  copyRange,
  hasSameBytes,
  inFolder,
  moveFile,
  nullIfMissing,
  openNew,
  removeAbandoned,
  serialize,
  toStoreError,
  withStoreErrors,
  writeAt,
} from './files.ts'
import { prepareFolder } from './folder.ts'
import { defineStore } from './kind.ts'
import { createVolumePin } from './volume-pin.ts'

export const localOptions = z.object({
  DATA_DIR: z
    .string()
    .default('./data')
    .refine((path) => !path.includes('\0'), 'expected a path without a NUL character')
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

/** Writes the bytes of a part at `position` and returns their CRC-32. */
type WritePart = (file: FileHandle, position: number) => Promise<number>

const privateFolder = '.landfall/'
const stagingFolder = `${privateFolder}staging`
const originFolder = `${privateFolder}origins`

/** The store under `directory`; `prepare` creates the folder. */
export function localStore({ directory, fsync }: LocalOptions): ObjectStore {
  const root = resolve(directory)
  const staging = join(root, stagingFolder)
  const folders = durableFolders(root, { fsync, anchor: join(root, privateFolder) })
  const writeInTurn = serialize()
  const volumePin = createVolumePin(staging)

  function pathOf(key: string): string {
    const segments = key.split('/')
    const isUnsafe = segments.some(
      (segment) => segment === '' || segment === '.' || segment === '..' || /[\0\\]/.test(segment),
    )
    if (isUnsafe) throw new Error('an object key must be a relative path without . or .. segments')
    return join(root, ...segments)
  }

  // A multipart id is the name of the staging file: a hash of the key, the part size, and a UUID.
  const stagingPrefix = (key: string) => createHash('sha256').update(key).digest('hex').slice(0, 32)
  const isMultipartId = (multipartId: string, prefix: string) =>
    multipartId.startsWith(prefix) && /^[0-9a-f]{32}_\d+_[0-9a-f-]{36}$/.test(multipartId)
  function stagingPath(key: string, multipartId: string): string {
    if (!isMultipartId(multipartId, stagingPrefix(key))) throw new NoSuchUpload('not a multipart upload of this key')
    return join(staging, multipartId)
  }

  /**
   * The path of an object until it is complete, chosen so that a clean-up after a crash finds it: among private objects, which are found
   * by listing their folder, in that folder; for any other key in the staging folder, where `abortMultipart` removes it. No clean-up
   * concerns the objects of the server itself: the next `put` of the same key removes what a killed one left.
   */
  function temporaryPath(key: string): string {
    const folder = key.startsWith(privateFolder) ? dirname(pathOf(key)) : staging
    return join(folder, temporaryPrefix(key) + randomUUID())
  }
  const temporaryPrefix = (key: string) => `${stagingPrefix(key)}_put_`

  async function infoOf(path: string): Promise<ObjectInfo | null> {
    const found = await stat(path).catch(nullIfMissing)
    return found?.isFile() ? objectInfo(found) : null
  }

  /** Writes a new file, and its origin if given. Its bytes are on the disk when this resolves; its name need not be. */
  async function writeFile(
    path: string,
    bytes: Bytes,
    origin: { key: string; text: string } | null,
  ): Promise<WrittenObject> {
    const file = await openNew(path, folders)
    try {
      const crc32 = await writeAt(file, bytes, 0)
      // The origin has its final name at once, so it is written only on the store's own volume.
      const stats = await volumePin.confirm(file)
      await Promise.all([origin && writeOrigin(origin.key, origin.text), fsync && file.datasync()])
      return { ...objectInfo(stats), crc32 }
    } finally {
      await file.close()
    }
  }

  /** Runs `work` with a staging file. @throws NoSuchUpload */
  async function withStaged<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
    const file = await open(path, 'r+').catch(nullIfMissing)
    if (!file) throw new NoSuchUpload('the staging file does not exist')
    try {
      return await work(file)
    } finally {
      await file.close()
    }
  }

  /** Writes one part with `write`, which returns its CRC-32. The part is on the disk when this resolves. */
  function writePart(key: string, multipartId: string, number: number, size: number, write: WritePart) {
    const path = stagingPath(key, multipartId)
    const partSize = Number(multipartId.split('_')[1])
    return withStaged(path, async (file) => {
      // Before the bytes: in an older copy of the store this file has the same name, and holds parts that the copy's rows name.
      await volumePin.confirm(file)
      const crc32 = await writeInTurn(path, () => write(file, (number - 1) * partSize))
      if (fsync) await file.datasync()
      return { number, size, etag: etagOf(crc32, size), crc32 }
    })
  }

  /** Files have no metadata, so the origin of an object is a file of its own, named by a hash of the key. */
  function originPath(key: string): string {
    const name = createHash('sha256').update(key).digest('hex')
    return join(root, originFolder, name.slice(0, 2), name)
  }

  /** Called before the object exists. It is not synced to the disk: it is only read after a database was lost. */
  async function writeOrigin(key: string, origin: string): Promise<void> {
    const path = originPath(key)
    await inFolder(dirname(path), folders, () => writeText(path, origin))
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
      // Small enough that most requests fill parts and leave no tail, large enough that recording a part costs less than writing it.
      minPartSize: 64 * 1024,
      maxPartSize: 1024 ** 4,
      maxParts: maxPartsOfAnyStore,
      maxObjectSize: 5 * 1024 ** 4,
      // One part is written while the next one arrives; more would only take memory that is not in the CPU caches.
      partsInFlight: 2,
    },

    async prepare() {
      const created = await prepareFolder(root)
      await withStoreErrors(async () => {
        await mkdir(staging, { recursive: true })
        await folders.sync(staging)
        for (let path = root; fsync && created !== undefined && path.length >= created.length; path = dirname(path))
          await syncPath(dirname(path))
      })
    },

    volumeId: () => withStoreErrors(volumePin.volumeId),
    pinVolume: volumePin.pin,

    check: () =>
      withStoreErrors(async () => {
        const { bavail } = await statfs(root)
        if (bavail === 0) throw errors.diskFull()
        // Always the same name, so that processes that die here leave at most this one file.
        const probe = join(staging, 'probe')
        await (await open(probe, 'w')).close()
        await unlink(probe).catch(nullIfMissing)
      }),

    createMultipart: (key, { partSize, origin }) =>
      withStoreErrors(async () => {
        pathOf(key)
        const multipartId = `${stagingPrefix(key)}_${partSize}_${randomUUID()}`
        const path = stagingPath(key, multipartId)
        const file = await openNew(path, folders)
        try {
          await volumePin.confirm(file)
        } catch (error) {
          await unlink(path).catch(nullIfMissing)
          throw error
        } finally {
          await file.close()
        }
        // A part is durable only once the name of its file is.
        await Promise.all([origin && writeOrigin(key, origin), folders.sync(staging)])
        return multipartId
      }),

    uploadPart: (key, multipartId, number, bytes) =>
      withStoreErrors(() =>
        writePart(key, multipartId, number, bytes.size, (file, position) => writeAt(file, bytes, position)),
      ),

    copyPart: (key, multipartId, number, { key: source, start, end }) =>
      withStoreErrors(async () => {
        const from = await open(pathOf(source), 'r').catch(nullIfMissing)
        if (!from) throw new NoSuchKey('no such object')
        try {
          return await writePart(key, multipartId, number, end - start, (file, position) =>
            copyRange(from, { start, end }, file, position),
          )
        } finally {
          await from.close()
        }
      }),

    completeMultipart: (key, multipartId, parts) =>
      withStoreErrors(async () => {
        const path = pathOf(key)
        const size = parts.reduce((sum, part) => sum + part.size, 0)
        const staged = stagingPath(key, multipartId)
        try {
          const info = await withStaged(staged, async (file) => {
            const found = await volumePin.confirm(file)
            if (found.size < size) throw new NoSuchUpload('the staging file is shorter than its parts')
            // A part was written behind the end that was never recorded.
            if (found.size > size) await file.truncate(size)
            if (fsync) await file.sync()
            return objectInfo(found.size > size ? await file.stat() : found)
          })
          await moveFile(staged, path, folders)
          return info
        } catch (error) {
          const completed = error instanceof NoSuchUpload ? await infoOf(path) : null
          if (completed?.size !== size) throw error
          // Of an earlier attempt, which may have ended before the name was on the disk.
          await folders.sync(dirname(path))
          return completed
        }
      }),

    abortMultipart: (key, multipartId) =>
      withStoreErrors(async () => {
        const prefix = stagingPrefix(key)
        if (multipartId !== null)
          return isMultipartId(multipartId, prefix) ? rm(join(staging, multipartId), { force: true }) : undefined
        for (const name of (await readdir(staging).catch(nullIfMissing)) ?? [])
          if (name.startsWith(prefix)) await rm(join(staging, name), { force: true })
        if (!(await infoOf(pathOf(key)))) await rm(originPath(key), { force: true })
      }),

    put: (key, bytes, { origin, isNew }) =>
      withStoreErrors(async () => {
        const path = pathOf(key)
        const temporary = temporaryPath(key)
        let crc32: number | null = null
        try {
          // The bytes are on the disk before their name is: after a power failure there is no object, or a whole one.
          const written = await writeFile(temporary, bytes, origin ? { key, text: origin } : null)
          crc32 = written.crc32
          await moveFile(temporary, path, folders, isNew)
          if (isServersOwn(key)) await removeAbandoned(path, temporaryPrefix(key))
          return written
        } catch (error) {
          // The existing object is either our own, of an attempt whose answer was lost, or foreign: its bytes decide.
          const isOurs = error instanceof ObjectExists && (await hasSameBytes(temporary, path))
          await rm(temporary, { force: true })
          if (!isOurs) throw error
          // That attempt may have ended before bytes and name were on the disk.
          if (fsync) await syncPath(path)
          await folders.sync(dirname(path))
          return { ...(await infoOf(path))!, crc32 }
        }
      }),

    stat: (key) => withStoreErrors(() => infoOf(pathOf(key))),

    originOf: (key) =>
      withStoreErrors(async () => {
        const text = await readText(originPath(key), 'utf8').catch(nullIfMissing)
        return text === null || !(await infoOf(pathOf(key))) ? null : text
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
          await folders.removeEmpty(dirname(path))
        }
      }),

    async *list(prefix) {
      const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1).replace(/\/$/, '')
      for await (const key of walk(folder === '' ? root : pathOf(folder), folder)) if (key.startsWith(prefix)) yield key
    },

    async close() {},
  }
}

function objectInfo({ size, ino, mtimeMs }: Stats): ObjectInfo {
  return { size, etag: `${ino.toString(16)}-${size.toString(16)}-${Math.floor(mtimeMs).toString(16)}` }
}

/** The ETag of a part: the CRC-32 of its bytes and their number. Equal bytes have equal ETags. */
function etagOf(crc: number, size: number): string {
  return `${crc.toString(16).padStart(8, '0')}-${size.toString(16)}`
}

const filesIn = (dataDir: string) => join(dataDir, 'files')

/** `STORE=local`: files in a folder. */
export const local = defineStore({
  title: 'Files under DATA_DIR (STORE=local)',
  settings: localOptions.shape,
  open: ({ DATA_DIR, LOCAL_FSYNC }) => localStore({ directory: filesIn(DATA_DIR), fsync: LOCAL_FSYNC }),
  describe: ({ DATA_DIR }) => filesIn(DATA_DIR),
  async *probe({ DATA_DIR }) {
    // A server that starts does not load it.
    const { probeFolder } = await import('./folder-doctor.ts')
    yield* probeFolder(DATA_DIR, filesIn(DATA_DIR))
  },
})
