// A lock on a clone, so that one launcher at a time installs and builds: two would remove each other's files. The holder listens on a Unix
// socket, which the system closes however the holder ends, and the symlink `.preparing/<number>` points to that socket. A launcher takes
// the next number once the socket of the highest one no longer answers; `symlink` lets only one launcher create a number.
// Plain JavaScript for Node 18 and later. Paths are relative to the clone: the full path of a socket could exceed the system's limit.
import { randomBytes } from 'node:crypto'
import { accessSync, constants, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'

const folder = '.preparing'

/** Throws when the clone, which is the working directory, is not writable. */
export function assertWritable() {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const path of ['.', folder]) accessSync(path, constants.W_OK)
}

/**
 * Runs `work` while this process holds the lock of the clone, which is the working directory and must be writable. `whileWaiting` gets the
 * promise of each wait for another holder.
 */
export async function withCloneLock(whileWaiting, work) {
  const release = await acquire(whileWaiting)
  try {
    return await work()
  } finally {
    release()
  }
}

async function acquire(whileWaiting) {
  for (;;) {
    const highest = Math.max(0, ...numbers())
    const holder = highest > 0 && (await connectTo(`${folder}/${highest}`))
    if (holder) {
      await whileWaiting(new Promise((resolve) => holder.once('close', resolve).resume()))
      continue
    }
    const release = await tryNumber(highest + 1)
    if (release) return release
  }
}

/** Acquires `number`. @returns the release; `null` when another launcher was first */
async function tryNumber(number) {
  const name = `socket-${randomBytes(4).toString('hex')}`
  const release = await listenAt(`${folder}/${name}`)
  if (!createNumber(name, number)) {
    release()
    return null
  }
  for (const old of numbers().filter((other) => other < number)) removeNumber(old)
  return release
}

// The socket listens before its number exists: a number whose socket does not answer has no holder.
function createNumber(name, number) {
  try {
    symlinkSync(name, `${folder}/${number}`)
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
  // A launcher that read the folder long ago may have created a number that others used and removed in the meantime.
  if (Math.max(...numbers()) === number) return true
  rmSync(`${folder}/${number}`)
  return false
}

/** Listens at `path`. @returns the release, which closes all connections: waiting launchers wait for that */
function listenAt(path) {
  const waiting = new Set()
  const server = createServer((socket) => waiting.add(socket.on('error', () => {}).resume()))
  const release = () => {
    server.close()
    for (const socket of waiting) socket.destroy()
  }
  return new Promise((resolve, reject) => server.once('error', reject).listen(path, () => resolve(release)))
}

/** A connection to the holder at `path`; `null` when there is none. */
function connectTo(path) {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket))
    socket.on('error', () => resolve(null))
  })
}

function removeNumber(number) {
  const link = `${folder}/${number}`
  // The socket file of a killed holder still exists. Another launcher may remove both at the same time.
  try {
    rmSync(`${folder}/${readlinkSync(link)}`, { force: true })
  } catch {}
  rmSync(link, { force: true })
}

function numbers() {
  return readdirSync(folder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}
