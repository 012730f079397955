import { readFile, stat } from 'node:fs/promises'
import { EmbeddedDatabaseError } from './error.ts'

/** The user as whom Postgres runs, when that is not the user of this process. */
export interface RunAs {
  uid: number
  gid: number
}

// Users for databases or unprivileged programs, the preferred one first.
const preferred = ['landfall', 'postgres', 'nobody']

/**
 * The user as whom Postgres runs; `null` is the user of this process. Postgres refuses to run as root, so for root it is the owner of the
 * existing `dataFolder`, else an unprivileged user. initdb looks up the user's name, so the user must be in /etc/passwd.
 * @throws EmbeddedDatabaseError for root on a machine that has no other user
 */
export async function chooseUser(dataFolder: string): Promise<RunAs | null> {
  if (process.geteuid?.() !== 0) return null
  const found = await stat(dataFolder).catch(() => null)
  if (found && found.uid !== 0) return { uid: found.uid, gid: found.gid }
  const chosen = chooseFrom(await readFile('/etc/passwd', 'utf8').catch(() => ''))
  if (chosen) return chosen
  throw new EmbeddedDatabaseError(
    'the embedded Postgres does not run as root, and /etc/passwd has no unprivileged user; start Landfall as another user, or set DATABASE_URL',
  )
}

/** The best unprivileged user in the text of a passwd file, or `null`. */
export function chooseFrom(passwd: string): RunAs | null {
  const users = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([name, , uid, gid]) => name && /^\d+$/.test(uid ?? '') && /^\d+$/.test(gid ?? '') && uid !== '0')
    .map(([name = '', , uid, gid, , , shell = '']) => ({ name, uid: Number(uid), gid: Number(gid), shell }))
  const byName = preferred.map((name) => users.find((user) => user.name === name))
  // Only users that cannot log in: the database must not run as a person, with access to that person's files.
  const found = byName.find((user) => user) ?? users.find(({ shell }) => /\/(nologin|false)$/.test(shell))
  return found ? { uid: found.uid, gid: found.gid } : null
}
