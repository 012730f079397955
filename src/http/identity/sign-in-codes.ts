/*
 * One-time codes that sign a user in on the page of a server in development mode. Each code is a file in a folder of DATA_DIR that only
 * its owner can read, so the command line can add a code while a server runs. The file is named by the digest of the code, so reading the
 * folder reveals no code. The request that deletes the file has redeemed the code, so a code works once, also after a restart and when
 * several servers share the folder.
 */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The user that a code signs in; never an admin. */
export interface DevUser {
  user: string
  role: string
}

/** Milliseconds for which a code is valid. */
export const codeMs = 15 * 60 * 1000

const codeBytes = 32

/** Adds a code for the user to `folder`, which is created if missing, and returns it: 256 random bits in base64url. */
export async function createSignInCode(folder: string, { user, role }: DevUser, now: Date): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await removeExpired(folder, now)
  const code = randomBytes(codeBytes).toString('base64url')
  const temporary = join(folder, `.${randomUUID()}`)
  await writeFile(temporary, JSON.stringify({ user, role, expiresAt: now.getTime() + codeMs }), { mode: 0o600 })
  // After the rename a reader finds the complete file, before it none.
  await rename(temporary, join(folder, digestOf(code).toString('hex')))
  return code
}

/** Redeems `code` and returns its user; `null` if there is no such code, or it was used or has expired. */
export async function redeemSignInCode(folder: string, code: string, now: Date): Promise<DevUser | null> {
  const digest = digestOf(code)
  // Every name is compared in constant time, so the time this takes reveals nothing about any code.
  const matches = (await codesIn(folder)).filter((name) => timingSafeEqual(Buffer.from(name, 'hex'), digest))
  const file = matches[0] && join(folder, matches[0])
  if (!file) return null
  const stored = await readCode(file)
  // Of two requests with the same code, only one deletes the file.
  if (!stored || !(await deleteFile(file)) || stored.expiresAt <= now.getTime()) return null
  return { user: stored.user, role: stored.role }
}

async function removeExpired(folder: string, now: Date): Promise<void> {
  for (const name of await codesIn(folder)) {
    const file = join(folder, name)
    const stored = await readCode(file)
    if (!stored || stored.expiresAt <= now.getTime()) await rm(file, { force: true })
  }
}

async function codesIn(folder: string): Promise<string[]> {
  return ((await nullIfMissing(readdir(folder))) ?? []).filter((name) => /^[0-9a-f]{64}$/.test(name))
}

async function readCode(file: string): Promise<(DevUser & { expiresAt: number }) | null> {
  const text = await nullIfMissing(readFile(file, 'utf8'))
  return text === null ? null : JSON.parse(text)
}

/** Whether this call deleted the file. */
async function deleteFile(file: string): Promise<boolean> {
  return (await nullIfMissing(unlink(file).then(() => true))) ?? false
}

async function nullIfMissing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw thrown
  }
}

function digestOf(code: string): Buffer {
  return createHash('sha256').update(code).digest()
}
