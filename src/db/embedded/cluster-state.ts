import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EmbeddedDatabaseError } from './error.ts'
import { passwordFile } from './init.ts'

/** The Postgres version of the npm packages; clusters of another version need pg_upgrade. */
const major = '18'

/**
 * The password of the cluster in `folder`, or `null` when the folder is missing or empty.
 * @throws EmbeddedDatabaseError when the folder holds anything but a cluster of this version of Landfall
 */
export async function readCluster(folder: string): Promise<string | null> {
  const names = await readdir(folder).catch(unlessMissing)
  if (!names || names.length === 0) return null
  const version = (await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(unlessMissing))?.trim()
  if (version !== undefined && /^\d+$/.test(version) && version !== major)
    throw new EmbeddedDatabaseError(
      `${folder} holds a database of Postgres ${version}, and this Landfall brings Postgres ${major}; move the data over with pg_dump, or move the folder away to begin with an empty database`,
    )
  const password = (await readFile(join(folder, passwordFile), 'utf8').catch(unlessMissing))?.trim()
  if (version !== major || !password)
    throw new EmbeddedDatabaseError(
      `${folder} is damaged or was not made by Landfall (${version === major ? passwordFile : 'PG_VERSION'} is missing); restore it from a backup, or move it away to begin with an empty database`,
    )
  return password
}

/** The process that runs, or last ran, the server: the pid in `postmaster.pid` of the cluster in `folder`. */
export async function readPid(folder: string): Promise<number | null> {
  const content = await readFile(join(folder, 'postmaster.pid'), 'utf8').catch(unlessMissing)
  const pid = Number(content?.split('\n')[0])
  return Number.isSafeInteger(pid) && pid > 0 ? pid : null
}

/** Whether process `pid` is a server that runs on `folder`; `null` where that cannot be determined, on anything but Linux. */
export async function runsOn(pid: number, folder: string): Promise<boolean | null> {
  if (process.platform !== 'linux') return null
  // The working directory of a server is its folder. A zombie has none, and that of another user's process cannot be read.
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => null)
  if (cwd === null) return false
  const [here, there] = await Promise.all([stat(folder), stat(`/proc/${pid}/cwd`).catch(() => null)])
  return cwd === (await realpath(folder)) || (there?.ino === here.ino && there.dev === here.dev)
}

function unlessMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
  throw error
}
