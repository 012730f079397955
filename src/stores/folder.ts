import { constants } from 'node:fs'
import { access, lstat, mkdir, open, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { getSystemErrorMessage } from 'node:util'

/** A folder in which no files can be created. The message is for the operator and says how to fix that; a retry does not help. */
export class UnusableFolder extends Error {
  override name = 'UnusableFolder'
  readonly code = 'UNUSABLE_FOLDER'
}

/**
 * Creates the folder unless it exists, and tests that files can be created in it. Called before anything else uses the folder, so that a
 * problem is explained the same way whichever part of the server would have met it first.
 * @returns the highest folder that was created, `undefined` when all existed
 * @throws UnusableFolder
 */
export async function prepareFolder(folder: string): Promise<string | undefined> {
  try {
    const created = await createFolder(folder)
    // Always the same name, so that processes that die here leave at most this one file.
    const probe = join(folder, '.probe')
    await (await open(probe, 'w')).close()
    await unlink(probe).catch(unless('ENOENT'))
    return created
  } catch (error) {
    const { problem, fix } = await explainFolder(folder, error)
    throw new UnusableFolder(`${problem}. ${fix}`, { cause: error })
  }
}

/** What is wrong with a folder for which an operation failed with `error`, and the fix; each is one sentence. */
export async function explainFolder(folder: string, error: unknown): Promise<{ problem: string; fix: string }> {
  return { problem: `${shortened(folder)} is not writable (${reasonOf(error)})`, fix: await fixOf(folder, error) }
}

/**
 * Creates the folder and those above it. Node's own recursive `mkdir` never returns below a folder that answers ENOENT although it exists,
 * as those of /proc do.
 */
async function createFolder(folder: string): Promise<string | undefined> {
  try {
    await mkdir(folder)
    return folder
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return undefined
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error
  }
  const created = await createFolder(dirname(folder))
  // Another process may create it at the same time.
  await mkdir(folder).catch(unless('EEXIST'))
  return created ?? folder
}

async function fixOf(folder: string, error: unknown): Promise<string> {
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM': {
      const [user, owner] = [process.geteuid?.(), await ownerAbove(folder)]
      if (user === 0 || user === owner.uid) return 'Set DATA_DIR to a folder that this process may write to.'
      return `This process runs as user ${user}, and ${owner.path} belongs to user ${owner.uid}: chown it, or run as its owner.`
    }
    case 'EROFS':
      return 'The file system is mounted read-only: mount a volume there, or set DATA_DIR to one.'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'The disk is full: free some space, or set DATA_DIR to a larger disk.'
    case 'ENOTDIR':
    case 'EEXIST':
    case 'ENOENT': {
      const link = await danglingLinkOn(folder)
      if (link)
        return `${link} is a link to a folder that does not exist: mount its volume, or set DATA_DIR to a folder.`
      if (codeOf(error) === 'ENOENT') return 'No folder can be created there: set DATA_DIR to a folder on a disk.'
      return 'There is a file where a folder should be: set DATA_DIR to a folder.'
    }
    case 'ENAMETOOLONG':
      return 'The path is too long: set DATA_DIR to a shorter one.'
    default:
      return 'Set DATA_DIR to a folder that this process may write to.'
  }
}

/** The owner of the deepest existing folder on the path, which denies access. */
async function ownerAbove(folder: string): Promise<{ path: string; uid: number }> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path).catch(() => null)
    const isOpen = await access(dirname(path), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found && (isOpen || path === '/')) return { path, uid: found.uid }
    if (path === '/') return { path, uid: 0 }
  }
}

/** The part of the path that is a link to a missing target, or `null`. */
async function danglingLinkOn(folder: string): Promise<string | null> {
  for (let path = folder; path !== dirname(path); path = dirname(path)) {
    const found = await lstat(path).catch(() => null)
    if (found) return found.isSymbolicLink() && !(await stat(path).catch(() => null)) ? path : null
  }
  return null
}

/** The reason without the path, which the sentence names. */
function reasonOf(error: unknown): string {
  const { code, errno, message } = error as NodeJS.ErrnoException
  return code !== undefined && errno !== undefined ? `${code}: ${getSystemErrorMessage(errno)}` : message
}

/** A path that fits into a sentence. */
function shortened(path: string): string {
  return path.length <= 200 ? path : `${path.slice(0, 100)}…${path.slice(-50)}`
}

/** For `catch`: throws every error but those with `code`. */
function unless(code: string): (error: unknown) => void {
  return (error) => {
    if (codeOf(error) !== code) throw error
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}
