/*
 * A lock that lives in a folder, for all processes that see the folder, in other containers too. The holder listens on a Unix
 * socket, which the system closes however the holder ends, and `<number>` in the folder is a link to that socket. Numbers only
 * grow: the next holder takes the number after the highest one, once the highest one's socket no longer answers, and `symlink`
 * lets one process alone make a number. The highest number is never removed, so a process that read the folder long ago either
 * fails to make its number or then sees a higher one.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { EmbeddedDatabaseError } from './error.ts'
import { shortPathOf } from './short-path.ts'

const patienceMs = 60_000

/**
 * Does `work` while this process alone holds the lock in `folder`, which is made when it is not there.
 * @throws EmbeddedDatabaseError when another process holds it for very long
 */
export async function withFolderLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const short = await shortPathOf(folder)
  try {
    const release = await take(short.path)
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

async function take(folder: string): Promise<Release> {
  for (;;) {
    const highest = Math.max(0, ...(await numbersIn(folder)))
    if (highest > 0 && (await outlast(join(folder, String(highest))))) continue
    const release = await tryNumber(folder, highest + 1)
    if (release) return release
  }
}

/** Takes number `mine`, or returns `null` when another process was quicker. */
async function tryNumber(folder: string, mine: number): Promise<Release | null> {
  const name = `socket-${randomBytes(4).toString('hex')}`
  const release = await listenAt(join(folder, name))
  // The socket listens before its number is there: a number that does not answer has lost its holder.
  const isMade = await symlink(name, join(folder, String(mine))).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
  const numbers = await numbersIn(folder)
  if (!isMade || Math.max(...numbers) > mine) {
    if (isMade) await rm(join(folder, String(mine)))
    await release()
    return null
  }
  for (const old of numbers.filter((number) => number < mine)) await removeNumber(folder, old)
  return release
}

/** Listens at `path`; the release ends every connection, which is what the waiting processes wait for, and removes the socket. */
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
  // Of a holder that was killed.
  if (name !== null) await rm(join(folder, name), { force: true })
  await rm(link, { force: true })
}

async function numbersIn(folder: string): Promise<number[]> {
  return (await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number)
}

/** Waits until the holder behind `path` lets go; `false` at once when there is none. */
function outlast(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let wasThere = false
    const socket = connect(path)
    socket.once('connect', () => {
      wasThere = true
    })
    socket.setTimeout(patienceMs, () => {
      reject(new EmbeddedDatabaseError('another process has been starting the embedded database for a minute; end it'))
      socket.destroy()
    })
    socket.on('error', () => {})
    socket.once('close', () => resolve(wasThere))
    socket.resume()
  })
}
