/*
 * The file operations of the local store; none of them knows what an object is. `removeEmptyFolders` may remove a folder at any time,
 * so every operation that needs a folder creates it, and retries when it was removed in between.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, mkdir, open, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { errors } from '../core/errors/errors.ts'
import { type Bytes, ObjectExists } from '../core/ports/object-store.ts'

// The most buffers of one writev on Linux.
const maxBuffers = 1024
// Bytes that are read from elsewhere are not collected in memory as a whole.
const maxBatch = 8 * 1024 ** 2

/** Opens a new file for writing and creates the folders above it. */
export async function openNew(path: string, options: MakingFolders): Promise<FileHandle> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await open(path, 'wx')
    } catch (error) {
      // The folder does not exist yet, or was empty and has just been removed.
      if (codeOf(error) !== 'ENOENT' || attempt === 3) throw error
      await makeFolder(dirname(path), options)
    }
  }
}

export interface MakingFolders {
  fsync: boolean
  /** A folder that must exist: without it the volume is unmounted, and no folder is created at its mount point. */
  anchor?: string
}

/** Creates the folder and those above it, durably with `fsync`. @throws ENOENT when the anchor does not exist */
export async function makeFolder(path: string, { fsync, anchor }: MakingFolders): Promise<void> {
  if (anchor !== undefined) await stat(anchor)
  const made = await mkdir(path, { recursive: true })
  if (fsync && made !== undefined) await syncFolders(dirname(path), dirname(made))
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
 * Moves a complete file to its final path, so that no reader sees half of it, and creates the folders above it.
 * @throws ObjectExists with `isNew` when a file is already there
 */
export async function moveFile(
  from: string,
  to: string,
  { isNew = false, fsync, anchor }: MakingFolders & { isNew?: boolean | undefined },
): Promise<void> {
  const folder = dirname(to)
  let made: string | undefined
  for (let attempt = 0; ; attempt += 1) {
    try {
      // `link` fails where a file exists; `rename` would replace it.
      if (isNew) await link(from, to)
      await (isNew ? unlink(from) : rename(from, to))
      break
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw new ObjectExists('there is another object already')
      // The folder does not exist yet, or was empty and has just been removed.
      if (codeOf(error) !== 'ENOENT' || attempt === 3 || !(await stat(from).catch(nullIfMissing))) throw error
      if (anchor !== undefined) await stat(anchor)
      made = (await mkdir(folder, { recursive: true })) ?? made
    }
  }
  if (fsync) await syncFolders(folder, made === undefined ? folder : dirname(made))
}

/** Removes the folder and those above it while they are empty; `root` itself stays. */
export async function removeEmptyFolders(from: string, root: string): Promise<void> {
  for (let folder = from; folder.length > root.length; folder = dirname(folder)) {
    try {
      await rmdir(folder)
    } catch {
      return
    }
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

/**
 * Syncs the folders from `from` up to `to`. The name of a file is durable once its folder is synced, and the name of a new folder once
 * the folder above is.
 */
export async function syncFolders(from: string, to: string): Promise<void> {
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
