/*
 * Files under a directory. An object is a file at its key. An open multipart upload is one staging file into which every
 * part is written at its place, so that finishing is a rename and no byte is written twice. What is written is on the disk
 * before it is acknowledged, unless LOCAL_FSYNC says otherwise: then a kill of the process loses nothing, and a loss of
 * power may.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  type FileHandle,
  link,
  mkdir,
  open,
  opendir,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  unlink,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { UploadError } from '../core/errors.ts'
import {
  type Bytes,
  HandleLost,
  ObjectExists,
  type ObjectFacts,
  ObjectMissing,
  type ObjectStore,
} from '../core/ports.ts'

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

// Linux takes this many buffers in one writev.
const buffersAtOnce = 1024
// What is read from elsewhere to be written here is not in memory as a whole.
const bytesAtOnce = 8 * 1024 ** 2
const privateFolder = '.landfall/'
const stagingFolder = `${privateFolder}staging`

/** The store under `directory`, which is made when it is not there. */
export function localStore({ directory, fsync }: LocalOptions): ObjectStore {
  const root = resolve(directory)
  const staging = join(root, stagingFolder)

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
  function stagingPath(key: string, handle: string): string {
    if (!handle.startsWith(stagingPrefix(key)) || !/^[0-9a-f]{32}_\d+_[0-9a-f-]{36}$/.test(handle))
      throw new HandleLost('not a handle of this key')
    return join(staging, handle)
  }

  /**
   * Where an object lies until it is whole; so chosen that whoever cleans up after a crash comes upon it: by `list` among
   * the private objects, whose keys only their folder tells, and by `abort` with the key of any other.
   */
  function temporaryPath(key: string): string {
    const folder = key.startsWith(privateFolder) ? dirname(pathOf(key)) : staging
    return join(folder, `${stagingPrefix(key)}_put_${randomUUID()}`)
  }

  async function factsOf(path: string): Promise<ObjectFacts | null> {
    const found = await stat(path).catch(absent)
    return found?.isFile()
      ? {
          size: found.size,
          etag: `${found.ino.toString(16)}-${found.size.toString(16)}-${Math.floor(found.mtimeMs).toString(16)}`,
        }
      : null
  }

  async function writeFile(path: string, bytes: Bytes): Promise<void> {
    const file = await openNew(path)
    try {
      await writeAt(file, bytes, 0)
      if (fsync) await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** Moves a whole file to where a key says, so that nobody ever sees half of it. */
  async function moveTo(from: string, to: string, isNew = false): Promise<void> {
    const folder = dirname(to)
    let made: string | undefined
    for (let attempt = 0; ; attempt += 1) {
      made = (await mkdir(folder, { recursive: true })) ?? made
      try {
        // A link is refused where a file is; a rename replaces it.
        if (isNew) await link(from, to)
        await (isNew ? unlink(from) : rename(from, to))
        break
      } catch (error) {
        if (codeOf(error) === 'EEXIST') throw new ObjectExists('there is another object already')
        // The folder was empty and was removed in between.
        if (codeOf(error) !== 'ENOENT' || attempt === 3 || !(await stat(from).catch(absent))) throw error
      }
    }
    if (fsync) await syncFolders(folder, made === undefined ? folder : dirname(made))
  }

  /** A name is on the disk when its folder is; the name of a new folder is in the one above. */
  async function syncFolders(from: string, to: string): Promise<void> {
    for (let folder = from; ; folder = dirname(folder)) {
      const file = await open(folder, 'r')
      try {
        await file.sync()
      } finally {
        await file.close()
      }
      if (folder.length <= to.length) return
    }
  }

  async function* walk(folder: string, key: string): AsyncGenerator<string> {
    const entries = await opendir(folder).catch(absent)
    if (!entries) return
    for await (const entry of entries) {
      const name = key === '' ? entry.name : `${key}/${entry.name}`
      if (name === stagingFolder) continue
      if (entry.isDirectory()) yield* walk(join(folder, entry.name), name)
      else yield name
    }
  }

  return {
    name: 'local',
    // Small enough that most chunks are parts and leave no tail, large enough that receipts cost less than bytes.
    limits: { minPartSize: 64 * 1024, maxPartSize: 1024 ** 4, maxParts: 100_000, maxObjectSize: 5 * 1024 ** 4 },

    check: () =>
      mended(async () => {
        await mkdir(staging, { recursive: true })
        const { bavail } = await statfs(root)
        if (bavail === 0) throw new UploadError('STORE_UNAVAILABLE', 'The disk is full.')
        // Always the same name: of a process that dies here at most this one file is left.
        const probe = join(staging, 'probe')
        await (await open(probe, 'w')).close()
        await unlink(probe).catch(absent)
      }),

    begin: (key, { partSize }) =>
      mended(async () => {
        pathOf(key)
        await mkdir(staging, { recursive: true })
        const handle = `${stagingPrefix(key)}_${partSize}_${randomUUID()}`
        await (await open(stagingPath(key, handle), 'wx')).close()
        return handle
      }),

    writePart: (key, handle, number, bytes) =>
      mended(async () => {
        const partSize = Number(handle.split('_')[1])
        const file = await openStaged(stagingPath(key, handle))
        try {
          await writeAt(file, bytes, (number - 1) * partSize)
          if (fsync) await file.datasync()
        } finally {
          await file.close()
        }
        return { number, size: bytes.size, etag: randomUUID() }
      }),

    copyPart: (key, handle, number, { key: source, start, end }) =>
      mended(async () => {
        const partSize = Number(handle.split('_')[1])
        const from = await open(pathOf(source), 'r').catch(absent)
        if (!from) throw new ObjectMissing('no such object')
        try {
          const to = await openStaged(stagingPath(key, handle))
          try {
            await copyRange(from, { start, end }, to, (number - 1) * partSize)
            if (fsync) await to.datasync()
          } finally {
            await to.close()
          }
        } finally {
          await from.close()
        }
        return { number, size: end - start, etag: randomUUID() }
      }),

    finish: (key, handle, parts) =>
      mended(async () => {
        const path = pathOf(key)
        const size = parts.reduce((sum, part) => sum + part.size, 0)
        const staged = stagingPath(key, handle)
        const found = await stat(staged).catch(absent)
        if (!found) {
          const done = await factsOf(path)
          if (done?.size === size) return done
          throw new HandleLost('neither the staging file nor the object is there')
        }
        if (found.size < size) throw new HandleLost('the staging file is shorter than its parts')
        const file = await openStaged(staged)
        try {
          // Bytes of a part that was written and never recorded.
          if (found.size > size) await file.truncate(size)
          if (fsync) await file.sync()
        } finally {
          await file.close()
        }
        await moveTo(staged, path)
        return (await factsOf(path))!
      }),

    abort: (key, handle) =>
      mended(async () => {
        if (handle !== null) return rm(stagingPath(key, handle), { force: true })
        const mine = stagingPrefix(key)
        for (const name of (await readdir(staging).catch(absent)) ?? [])
          if (name.startsWith(mine)) await rm(join(staging, name), { force: true })
      }),

    put: (key, bytes, about) =>
      mended(async () => {
        const path = pathOf(key)
        const temporary = temporaryPath(key)
        try {
          await writeFile(temporary, bytes)
          await moveTo(temporary, path, about.isNew)
        } catch (error) {
          await rm(temporary, { force: true })
          throw error
        }
        return (await factsOf(path))!
      }),

    stat: (key) => mended(() => factsOf(pathOf(key))),

    async *read(key, range) {
      const file = await open(pathOf(key), 'r').catch(absent)
      if (!file) throw new ObjectMissing('no such object')
      const end = range ? { start: range.start, end: range.end - 1 } : {}
      if (range && range.end <= range.start) return void (await file.close())
      yield* file.createReadStream({ ...end, highWaterMark: 1024 ** 2 }) as AsyncIterable<Buffer>
    },

    remove: (keys) =>
      mended(async () => {
        for (const key of keys) {
          const path = pathOf(key)
          await unlink(path).catch(absent)
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

async function openNew(path: string): Promise<FileHandle> {
  for (let attempt = 0; ; attempt += 1) {
    await mkdir(dirname(path), { recursive: true })
    try {
      return await open(path, 'wx')
    } catch (error) {
      // The folder was empty and was removed in between.
      if (codeOf(error) !== 'ENOENT' || attempt === 3) throw error
    }
  }
}

async function openStaged(path: string): Promise<FileHandle> {
  const file = await open(path, 'r+').catch(absent)
  if (!file) throw new HandleLost('the staging file is not there')
  return file
}

async function writeAt(file: FileHandle, bytes: Bytes, position: number): Promise<void> {
  let at = position
  let waiting: Buffer[] = []
  let held = 0
  for await (const chunk of bytes.chunks()) {
    waiting.push(chunk)
    held += chunk.length
    if (waiting.length < buffersAtOnce && held < bytesAtOnce) continue
    await writeAll(file, waiting, at)
    at += held
    waiting = []
    held = 0
  }
  if (held > 0) await writeAll(file, waiting, at)
  if (at + held - position !== bytes.size) throw new Error('the bytes of a part did not come as they were announced')
}

/** Copies a range of one file into another. Node knows no way to let the kernel do it. */
async function copyRange(
  from: FileHandle,
  { start, end }: { start: number; end: number },
  to: FileHandle,
  position: number,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(1024 ** 2, end - start))
  for (let done = 0; done < end - start; ) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, end - start - done), start + done)
    if (bytesRead === 0) throw new Error('the file is shorter than the range to be copied')
    await writeAll(to, [buffer.subarray(0, bytesRead)], position + done)
    done += bytesRead
  }
}

/** writev may write less than it was given. */
async function writeAll(file: FileHandle, buffers: Buffer[], position: number): Promise<void> {
  let left = buffers
  let at = position
  for (;;) {
    let { bytesWritten } = await file.writev(left, at)
    at += bytesWritten
    let index = 0
    while (index < left.length && bytesWritten >= left[index]!.length) bytesWritten -= left[index++]!.length
    if (index === left.length) return
    left = [left[index]!.subarray(bytesWritten), ...left.slice(index + 1)]
  }
}

async function removeEmptyFolders(from: string, root: string): Promise<void> {
  for (let folder = from; folder.length > root.length; folder = dirname(folder)) {
    try {
      await rmdir(folder)
    } catch {
      return
    }
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}

function absent(error: unknown): null {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
  throw error
}

// A full or broken disk, too many open files, a mount that went away: an operator can mend it, and the client may come again.
const mayPass = new Set([
  'ENOSPC',
  'ENOENT',
  'ENOTDIR',
  'EEXIST',
  'EDQUOT',
  'EIO',
  'EROFS',
  'EMFILE',
  'ENFILE',
  'ESTALE',
  'EACCES',
  'EPERM',
  'EBUSY',
  'ENOMEM',
])

async function mended<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined || !mayPass.has(code)) throw error
    throw new UploadError(
      'STORE_UNAVAILABLE',
      'The store takes no bytes at the moment. Please try again later.',
      { code },
      { cause: error },
    )
  }
}
