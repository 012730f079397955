/*
 * What the local store does with files and folders, none of which knows what an object is. Folders come and go: whoever is
 * the last to leave one removes it, so every step that needs one makes it, and tries again when it went in between.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, mkdir, open, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { errors } from '../core/errors/errors.ts'
import { type Bytes, ObjectExists } from '../core/ports.ts'

// Linux takes this many buffers in one writev.
const buffersAtOnce = 1024
// What is read from elsewhere to be written here is not in memory as a whole.
const bytesAtOnce = 8 * 1024 ** 2

/** A new file for writing; the folders above it are made. */
export async function openNew(path: string, options: MakingFolders): Promise<FileHandle> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await open(path, 'wx')
    } catch (error) {
      // There is no folder yet, or it was empty and somebody removed it.
      if (codeOf(error) !== 'ENOENT' || attempt === 3) throw error
      await makeFolder(dirname(path), options)
    }
  }
}

export interface MakingFolders {
  fsync: boolean
  /** A folder that must be there: without it the volume is gone, and nothing is made where it was. */
  anchor?: string
}

/** Makes the folder and those above it; that they are there is on the disk then. @throws ENOENT when the anchor is not there */
export async function makeFolder(path: string, { fsync, anchor }: MakingFolders): Promise<void> {
  if (anchor !== undefined) await stat(anchor)
  const made = await mkdir(path, { recursive: true })
  if (fsync && made !== undefined) await syncFolders(dirname(path), dirname(made))
}

/**
 * Writes all of `bytes` from `position` on; what is not in memory passes through it in pieces of some megabytes. Returns their
 * CRC-32.
 */
export async function writeAt(file: FileHandle, bytes: Bytes, position: number): Promise<number> {
  let at = position
  let sum = 0
  let waiting: Buffer[] = []
  let held = 0
  for await (const chunk of bytes.chunks()) {
    waiting.push(chunk)
    sum = crc32(chunk, sum)
    held += chunk.length
    if (waiting.length < buffersAtOnce && held < bytesAtOnce) continue
    await writeAll(file, waiting, at)
    at += held
    waiting = []
    held = 0
  }
  if (held > 0) await writeAll(file, waiting, at)
  if (at + held - position !== bytes.size) throw new Error('the bytes of a part did not come as they were announced')
  return sum
}

/** Copies a range of one file into another, `end` exclusive, and returns its CRC-32. Node knows no way to let the kernel do it. */
export async function copyRange(
  from: FileHandle,
  { start, end }: { start: number; end: number },
  to: FileHandle,
  position: number,
): Promise<number> {
  let sum = 0
  const buffer = Buffer.allocUnsafe(Math.min(1024 ** 2, end - start))
  for (let done = 0; done < end - start; ) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, end - start - done), start + done)
    if (bytesRead === 0) throw new Error('the file is shorter than the range to be copied')
    const copied = buffer.subarray(0, bytesRead)
    sum = crc32(copied, sum)
    await writeAll(to, [copied], position + done)
    done += bytesRead
  }
  return sum
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
 * Makes those who write to the same file do it one after the other. Linux lets one in at a time, and those who wait for it burn the
 * processor: eight at once are less than half as fast as one.
 */
export function serialize(): <T>(path: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>()
  return (path, work) => {
    const turn = (last.get(path) ?? Promise.resolve()).then(work)
    const over = turn
      .catch(() => {})
      .finally(() => {
        if (last.get(path) === over) last.delete(path)
      })
    last.set(path, over)
    return turn
  }
}

/**
 * Moves a whole file to where it belongs, so that nobody ever sees half of it; the folders above it are made.
 * @throws ObjectExists when it must be new and is not
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
      // A link is refused where a file is; a rename replaces it.
      if (isNew) await link(from, to)
      await (isNew ? unlink(from) : rename(from, to))
      break
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw new ObjectExists('there is another object already')
      // There is no folder yet, or it was empty and somebody removed it.
      if (codeOf(error) !== 'ENOENT' || attempt === 3 || !(await stat(from).catch(nullIfMissing))) throw error
      if (anchor !== undefined) await stat(anchor)
      made = (await mkdir(folder, { recursive: true })) ?? made
    }
  }
  if (fsync) await syncFolders(folder, made === undefined ? folder : dirname(made))
}

/** Removes the folder and those above it as far as they are empty, up to `root`, which stays. */
export async function removeEmptyFolders(from: string, root: string): Promise<void> {
  for (let folder = from; folder.length > root.length; folder = dirname(folder)) {
    try {
      await rmdir(folder)
    } catch {
      return
    }
  }
}

/** For `catch`: `null` for a file that is not there. */
export function nullIfMissing(error: unknown): null {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
  throw error
}

// A full or broken disk, too many open files, a mount that went away: an operator can mend it, and the client may come again.
const isTransient = new Set([
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

/** What `work` says; an error that an operator can mend is STORE_UNAVAILABLE. */
export async function withStoreErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toStoreError(error)
  }
}

/** The error; one that an operator can mend as STORE_UNAVAILABLE. */
export function toStoreError(error: unknown): unknown {
  const code = codeOf(error)
  if (code === undefined || !isTransient.has(code)) return error
  return errors.storeUnavailable({ code }, error)
}

/** A name is on the disk when its folder is; the name of a new folder is in the one above. */
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

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}
