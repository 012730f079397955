// One launcher at a time installs and builds in a clone: two of them would remove each other's files. The holder listens on a Unix
// socket, which the system closes however the holder ends, and the link `.preparing/<number>` names that socket. A launcher takes the
// number after the highest one once the socket of the highest one no longer answers; `symlink` lets one launcher alone make a number.
// Plain JavaScript for Node 18 and later. The working directory is the clone: a socket's full path could be longer than systems allow.
import { randomBytes } from 'node:crypto'
import { accessSync, constants, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'

const folder = '.preparing'

/** Throws when the clone that is the working directory cannot be written to. */
export function assertWritable() {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const path of ['.', folder]) accessSync(path, constants.W_OK)
}

/**
 * Does `work` while this process alone holds the lock of the clone that is the working directory, and can be written to.
 * `whileWaiting` is given the promise of each wait for another holder.
 */
export async function withCloneLock(whileWaiting, work) {
  const release = await take(whileWaiting)
  try {
    return await work()
  } finally {
    release()
  }
}

async function take(whileWaiting) {
  for (;;) {
    const highest = Math.max(0, ...numbers())
    const held = highest > 0 && (await connectTo(`${folder}/${highest}`))
    if (held) {
      await whileWaiting(new Promise((resolve) => held.once('close', resolve).resume()))
      continue
    }
    const release = await tryNumber(highest + 1)
    if (release) return release
  }
}

/** Takes number `mine`, or returns `null` when another launcher was quicker. */
async function tryNumber(mine) {
  const name = `socket-${randomBytes(4).toString('hex')}`
  const release = await listenAt(`${folder}/${name}`)
  if (!makeNumber(name, mine)) {
    release()
    return null
  }
  for (const old of numbers().filter((number) => number < mine)) removeNumber(old)
  return release
}

// The socket listens before its number is there: a number that does not answer has lost its holder.
function makeNumber(name, mine) {
  try {
    symlinkSync(name, `${folder}/${mine}`)
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
  // A launcher that read the folder long ago may have made a number that was used and removed in the meantime.
  if (Math.max(...numbers()) === mine) return true
  rmSync(`${folder}/${mine}`)
  return false
}

/** The release ends every connection, which is what waiting launchers wait for. */
function listenAt(path) {
  const waiting = new Set()
  const server = createServer((socket) => waiting.add(socket.on('error', () => {}).resume()))
  const release = () => {
    server.close()
    for (const socket of waiting) socket.destroy()
  }
  return new Promise((resolve, reject) => server.once('error', reject).listen(path, () => resolve(release)))
}

/** A connection to the holder behind `path`, `null` when there is none. */
function connectTo(path) {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket))
    socket.on('error', () => resolve(null))
  })
}

function removeNumber(number) {
  const link = `${folder}/${number}`
  // The socket of a holder that was killed is still there. Another launcher may remove both at the same moment.
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
