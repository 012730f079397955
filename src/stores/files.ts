/* The file operations of the local store; none of them knows what an object is. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { errors } from '../core/errors/errors.ts'
import { type Bytes, ObjectExists } from '../core/ports/object-store.ts'
import type { DurableFolders } from './durable-folders.ts'

// The most buffers of one writev on Linux.
const maxBuffers = 1024
// Bytes that are read from elsewhere are not collected in memory as a whole.
const maxBatch = 8 * 1024 ** 2

/** Opens a new file for writing and creates the folders above it. */
export function openNew(path: string, folders: DurableFolders): Promise<FileHandle> {
  return inFolder(dirname(path), folders, () => open(path, 'wx'))
}

/** Runs `work`, which needs the folder, and creates it where it does not exist yet, or was empty and has just been removed. */
export async function inFolder<T>(folder: string, folders: DurableFolders, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === 3) throw error
      await folders.make(folder)
    }
  }
}

/**
 * Writes all of `bytes` at `position`, in batches of at most some megabytes. Returns their CRC-32.
 */
export async function writeAt(file: FileHandle, bytes: Bytes, position: number): Promise<number> {
  let at = position
  let crc = 0
  let batch: Buffer[] = []
  let batchSize = 0
  for await (const chunk of bytes.chunks()) {
    batch.push(chunk)
    crc = crc32(chunk, crc)
    batchSize += chunk.length
    if (batch.length < maxBuffers && batchSize < maxBatch) continue
    await writeAll(file, batch, at)
    at += batchSize
    batch = []
    batchSize = 0
  }
  if (batchSize > 0) await writeAll(file, batch, at)
  if (at + batchSize - position !== bytes.size) throw new Error('a part has more or fewer bytes than its size')
  return crc
}

/** Copies a range of one file into another, `end` exclusive, and returns its CRC-32. Node has no way to let the kernel copy a range. */
export async function copyRange(
  from: FileHandle,
  { start, end }: { start: number; end: number },
  to: FileHandle,
  position: number,
): Promise<number> {
  let crc = 0
  const buffer = Buffer.allocUnsafe(Math.min(1024 ** 2, end - start))
  for (let done = 0; done < end - start; ) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, end - start - done), start + done)
    if (bytesRead === 0) throw new Error('the file is shorter than the range to be copied')
    const copied = buffer.subarray(0, bytesRead)
    crc = crc32(copied, crc)
    await writeAll(to, [copied], position + done)
    done += bytesRead
  }
  return crc
}

/** Whether two files hold the same bytes. */
export async function hasSameBytes(one: string, other: string): Promise<boolean> {
  const hashes = await Promise.all(
    [one, other].map(async (path) => {
      const hash = createHash('sha256')
      for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2 })) hash.update(chunk as Buffer)
      return hash.digest('hex')
    }),
  )
  return hashes[0] === hashes[1]
}

/**
 * Returns a function that runs the writes to each path one after another. Linux locks a file for each write, and writers that wait for
 * that lock spin: eight concurrent writers are less than half as fast as one.
 */
export function serialize(): <T>(path: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>()
  return (path, work) => {
    const result = (last.get(path) ?? Promise.resolve()).then(work)
    const ended = result
      .catch(() => {})
      .finally(() => {
        if (last.get(path) === ended) last.delete(path)
      })
    last.set(path, ended)
    return result
  }
}

/**
 * Moves a complete file to its final path, so that no reader sees half of it, and creates the folders above it. Its name is on the disk when
 * this resolves. @throws ObjectExists with `isNew` when a file is already there
 */
export async function moveFile(from: string, to: string, folders: DurableFolders, isNew = false): Promise<void> {
  const folder = dirname(to)
  await inFolder(folder, folders, async () => {
    try {
      // `link` fails where a file exists; `rename` would replace it.
      await (isNew ? link(from, to) : rename(from, to))
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw new ObjectExists('there is another object already')
      throw error
    }
  })
  await Promise.all([folders.sync(folder), isNew && unlink(from)])
}

// A writer that is still alive has long written its few bytes.
const abandonedAfterMs = 60_000

/**
 * Removes what killed writers left in the folder of `path`: files whose names begin with `prefix`, and that are more than a minute older
 * than the file at `path`, by the clock of the file system.
 */
export async function removeAbandoned(path: string, prefix: string): Promise<void> {
  const folder = dirname(path)
  const { mtimeMs: now } = await stat(path)
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue
    const found = await stat(join(folder, name)).catch(nullIfMissing)
    if (found && now - found.mtimeMs > abandonedAfterMs) await unlink(join(folder, name)).catch(nullIfMissing)
  }
}

/** For `catch`: `null` when a file does not exist. */
export function nullIfMissing(error: unknown): null {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
  throw error
}

// A full or broken disk, too many open files, a lost mount: an operator can fix these, and the client can retry.
const transientCodes = new Set([
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
  'EXDEV',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'EFBIG',
])

/** Runs `work` and converts its errors by `toStoreError`. */
export async function withStoreErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toStoreError(error)
  }
}

/** Turns an error that an operator can fix into STORE_UNAVAILABLE; any other error is returned unchanged. */
export function toStoreError(error: unknown): unknown {
  const code = codeOf(error)
  if (code === undefined || !transientCodes.has(code)) return error
  return errors.storeUnavailable({ code }, error)
}

/** Writes all buffers: one writev may write less. */
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

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}
