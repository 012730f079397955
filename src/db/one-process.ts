/*
 * An embedded database belongs to one process: two over one folder destroy it without a word. What says that a folder is taken is
 * a socket, which the system closes with its process however that ends.
 */
import { createHash } from 'node:crypto'
import { realpath, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Another process that lives has the folder. */
export class FolderTaken extends Error {
  override name = 'FolderTaken'
  readonly code = 'FOLDER_TAKEN'
}

/**
 * Takes `folder`, which must exist, for this process. Returns the way to give it back.
 * @throws FolderTaken
 */
export async function takeFolder(folder: string): Promise<() => Promise<void>> {
  const path = addressFor(await realpath(folder))
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const server = await listenAt(path)
    if (server) {
      server.unref()
      return () => new Promise((resolve) => server.close(() => resolve()))
    }
    if (await answers(path)) break
    // Its process has died.
    await unlink(path).catch(() => {})
  }
  throw new FolderTaken(
    `another Landfall is running on the embedded database in ${folder}; stop it first, or let both use one Postgres (DATABASE_URL)`,
  )
}

/** Not in the folder itself: its path may be longer than sockets take, and not every disk has them. */
function addressFor(folder: string): string {
  const name = `landfall-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`)
}

/** `null`: somebody listens there, or did. */
function listenAt(path: string): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(null) : reject(error),
    )
    server.listen(path, () => resolve(server))
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(true))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'))
    socket.once('close', () => socket.destroy())
  })
}
