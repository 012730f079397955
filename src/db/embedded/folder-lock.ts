/*
 * A lock in a folder, for all processes that see the folder, also from other containers. The holder listens on a Unix socket, which
 * the operating system closes however the holder ends; `<number>` in the folder is a symlink to that socket. Numbers only grow: once
 * the socket of the highest number no longer answers, the next holder creates the number after it, and `symlink` lets only one process
 * create a number. The highest number is never removed, so a process with an old listing of the folder either fails to create its
 * number or then sees a higher one.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { EmbeddedDatabaseError } from './error.ts'
import { shortPathOf } from './short-path.ts'

const timeoutMs = 60_000

/**
 * Runs `work` while this process holds the lock in `folder`, which is created unless it exists.
 * @throws EmbeddedDatabaseError when another process has held the lock for a minute
 */
export async function withFolderLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const short = await shortPathOf(folder)
  try {
    const release = await acquire(short.path)
    try {
      return await work()
    } finally {
      await release()
    }
  } finally {
    await short.close()
  }
}

type Release = () => Promise<void>

async function acquire(folder: string): Promise<Release> {
  for (;;) {
    const highest = Math.max(0, ...(await numbersIn(folder)))
    if (highest > 0 && (await waitForRelease(join(folder, String(highest))))) continue
    const release = await tryNumber(folder, highest + 1)
    if (release) return release
  }
}

/** Acquires the lock with `number`, or returns `null` when another process was faster. */
async function tryNumber(folder: string, number: number): Promise<Release | null> {
  const name = `socket-${randomBytes(4).toString('hex')}`
  const release = await listenAt(join(folder, name))
  // The socket listens before its number exists, so a number that does not answer has lost its holder.
  const isMade = await symlink(name, join(folder, String(number))).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
  const numbers = await numbersIn(folder)
  if (!isMade || Math.max(...numbers) > number) {
    if (isMade) await rm(join(folder, String(number)))
    await release()
    return null
  }
  for (const old of numbers.filter((each) => each < number)) await removeNumber(folder, old)
  return release
}

/** Listens at `path`. The returned release removes the socket and closes every connection, which is what waiting processes wait for. */
async function listenAt(path: string): Promise<Release> {
  const waiting = new Set<Socket>()
  const server = createServer((socket) => waiting.add(socket.on('error', () => {}).resume()))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of waiting) socket.destroy()
    })
}

async function removeNumber(folder: string, number: number): Promise<void> {
  const link = join(folder, String(number))
  const name = await readlink(link).catch(() => null)
  // The socket file of a holder that was killed is still there.
  if (name !== null) await rm(join(folder, name), { force: true })
  await rm(link, { force: true })
}

async function numbersIn(folder: string): Promise<number[]> {
  return (await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number)
}

/** Waits until the holder that listens at `path` releases; `false` at once when there is none. */
function waitForRelease(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let wasThere = false
    const socket = connect(path)
    socket.once('connect', () => {
      wasThere = true
    })
    socket.setTimeout(timeoutMs, () => {
      reject(new EmbeddedDatabaseError('another process has been starting the embedded database for a minute; end it'))
      socket.destroy()
    })
    socket.on('error', () => {})
    socket.once('close', () => resolve(wasThere))
    socket.resume()
  })
}
