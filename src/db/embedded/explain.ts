import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { EmbeddedDatabaseError } from './error.ts'
import { ClusterNotStarted } from './start.ts'

const minFreeBytes = 1024 ** 2

/** Turns an error from opening the cluster in `folder` into one sentence with the fix. `log` is the path of the server's log. */
export async function explain(error: unknown, folder: string, log: string): Promise<EmbeddedDatabaseError> {
  if (error instanceof EmbeddedDatabaseError) return error
  const { code, message, path } = error as NodeJS.ErrnoException
  return new EmbeddedDatabaseError(
    await sentence({ code, message, path, folder, log, isStart: error instanceof ClusterNotStarted }),
    {
      cause: error,
    },
  )
}

interface Failure {
  code: string | undefined
  message: string
  /** The path of a failed file operation. */
  path: string | undefined
  folder: string
  log: string
  isStart: boolean
}

async function sentence({ code, message, path, folder, log, isStart }: Failure): Promise<string> {
  const parent = dirname(folder)
  const reason = lastLogLines(message)
  if (
    code === 'ENOSPC' ||
    code === 'EDQUOT' ||
    /No space left|Check free disk space|disk quota/i.test(message) ||
    (await isFull(parent))
  )
    return `the embedded database in ${folder} cannot be opened because its disk is full; free some space and start again`
  if (code === 'EROFS' || /Read-only file system/.test(message))
    return `the file system of ${parent} is read-only; mount a volume there, or set DATA_DIR to a folder on one`
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return `${path ?? parent} cannot be used because a file is where a folder should be; move the file away, or set DATA_DIR to another folder`
  if (code === 'EACCES' || code === 'EPERM' || /Permission denied|wrong ownership|invalid permissions/.test(message))
    return `user ${process.geteuid?.()} cannot use ${folder} (${reason}); start Landfall as the owner of the folder, change its owner, or set DATA_DIR to another one`
  if (/could not look up effective user/.test(message))
    return `user ${process.geteuid?.()} has no name in /etc/passwd, which Postgres needs; add one, start Landfall as another user, or set DATABASE_URL`
  if (/not found|No such file or directory/.test(message) && /bin\/(postgres|initdb)/.test(message))
    return `the embedded Postgres does not run on this system (${reason}); set DATABASE_URL to a Postgres server`
  if (/[Cc]annot allocate memory|shared memory/.test(message))
    return `the embedded Postgres gets no memory (${reason}); give this machine or container more, or set DATABASE_URL`
  if (code === '28P01')
    return `the embedded database in ${folder} refuses the password in its folder; restore the folder from a backup`
  if (isStart)
    return `the embedded database in ${folder} does not start (${reason}); see ${log} for more, and restore it from a backup, or move it away to begin with an empty database`
  return `the embedded database in ${folder} cannot be opened (${reason}); fix the cause, or set DATABASE_URL`
}

/** The line with the reason, without the timestamp and pid that Postgres writes before it. */
function lastLogLines(message: string): string {
  const lines = message.split('\n').map((line) => line.replace(/^[\d-]+ [\d:.]+ \S+ \[\d+\] /, '').trim())
  const found = lines.findLast(
    (line) => /^(PANIC|FATAL):/.test(line) && !/aborting startup|logical replication/.test(line),
  )
  return found ?? lines.find((line) => line !== '') ?? 'no reason given'
}

async function isFull(folder: string): Promise<boolean> {
  const found = await statfs(folder).catch(() => null)
  return found !== null && found.bavail * found.bsize < minFreeBytes
}
