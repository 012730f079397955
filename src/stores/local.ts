/*
 * A store of files under a directory. An object is a file at its key. A multipart upload is one staging file into which every part is
 * written at its offset, so completing it is a rename and no byte is written twice. Bytes are synced to the disk before they are
 * acknowledged, unless LOCAL_FSYNC is off: then a kill of the process still loses nothing, but a power failure may.
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
} from '../core/ports/object-store.ts'
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
import { prepareFolder } from './folder.ts'
import { createHome } from './home.ts'
import { defineStore } from './kind.ts'

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

const privateFolder = '.landfall/'
const stagingFolder = `${privateFolder}staging`
const originFolder = `${privateFolder}origins`

/** The store under `directory`; `prepare` creates the folder. */
export function localStore({ directory, fsync }: LocalOptions): ObjectStore {
  const root = resolve(directory)
  const staging = join(root, stagingFolder)
  const making = { fsync, anchor: join(root, privateFolder) }
  const writeInTurn = serialize()
  const home = createHome(staging, making)

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
   * by listing their folder, in that folder; for any other key in the staging folder, where `abortMultipart` removes it.
   */
  function temporaryPath(key: string): string {
    const folder = key.startsWith(privateFolder) ? dirname(pathOf(key)) : staging
    return join(folder, `${stagingPrefix(key)}_put_${randomUUID()}`)
  }

  async function infoOf(path: string): Promise<ObjectInfo | null> {
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

  /** Files have no metadata, so the origin of an object is a file of its own, named by a hash of the key. */
  function originPath(key: string): string {
    const name = createHash('sha256').update(key).digest('hex')
    return join(root, originFolder, name.slice(0, 2), name)
  }

  /** Called before the object exists. It is not synced to the disk: it is only read after a database was lost. */
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
      await withStoreErrors(() => makeFolder(staging, { fsync }))
      if (fsync && created !== undefined) await syncFolders(dirname(root), dirname(created))
    },

    place: () => withStoreErrors(home.place),
    stayAt: home.stayAt,

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
        await (await home.openNew(stagingPath(key, multipartId))).close()
        if (origin) await writeOrigin(key, origin)
        // A part is durable only once the name of its file is.
        if (fsync) await syncFolders(staging, staging)
        return multipartId
      }),

    uploadPart: (key, multipartId, number, bytes) =>
      withStoreErrors(async () => {
        const partSize = Number(multipartId.split('_')[1])
        const path = stagingPath(key, multipartId)
        const file = await home.openStaged(path)
        try {
          const crc = await writeInTurn(path, () => writeAt(file, bytes, (number - 1) * partSize))
          if (fsync) await file.datasync()
          return { number, size: bytes.size, etag: etagOf(crc, bytes.size) }
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
            const crc = await writeInTurn(path, () => copyRange(from, { start, end }, to, (number - 1) * partSize))
            if (fsync) await to.datasync()
            return { number, size: end - start, etag: etagOf(crc, end - start) }
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
          const completed = await infoOf(path)
          if (completed?.size === size) return completed
          throw new NoSuchUpload('neither the staging file nor the object exists')
        }
        if (found.size < size) throw new NoSuchUpload('the staging file is shorter than its parts')
        const file = await home.openStaged(staged)
        try {
          // A part was written behind the end that was never recorded.
          if (found.size > size) await file.truncate(size)
          if (fsync) await file.sync()
        } finally {
          await file.close()
        }
        await moveFile(staged, path, making)
        return (await infoOf(path))!
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

    put: (key, bytes, metadata) =>
      withStoreErrors(async () => {
        const path = pathOf(key)
        const temporary = temporaryPath(key)
        try {
          await writeFile(temporary, bytes)
          if (metadata.origin) await writeOrigin(key, metadata.origin)
          await moveFile(temporary, path, { ...making, isNew: metadata.isNew })
        } catch (error) {
          // The existing object is either our own, of an attempt whose answer was lost, or foreign: its bytes decide.
          const isOurs = error instanceof ObjectExists && (await hasSameBytes(temporary, path))
          await rm(temporary, { force: true })
          if (!isOurs) throw error
        }
        return (await infoOf(path))!
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
