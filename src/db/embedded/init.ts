import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { dataArgument, programEnv } from './cluster-path.ts'
import type { RunAs } from './run-as.ts'

export interface NewCluster {
  /** The path of the new cluster; its parent exists. */
  folder: string
  binaries: string
  runAs: RunAs | null
  /** The superuser. */
  user: string
  password: string
  /** Whether the files are synced to the disk. */
  isDurable: boolean
}

/** The file in a cluster's folder with the password of its superuser. */
export const passwordFile = 'landfall.password'

/**
 * Creates a cluster of Postgres. It is built in `<folder>.new.…` and renamed when it is complete, so a crash never leaves half a
 * cluster in `folder`.
 * @throws Error with the message of initdb
 */
export async function initCluster({ folder, binaries, runAs, user, password, isDurable }: NewCluster): Promise<void> {
  const staging = `${folder}.new.${randomBytes(6).toString('hex')}`
  const data = join(staging, 'data')
  try {
    for (const path of [staging, data]) {
      await mkdir(path, { mode: 0o700 })
      if (runAs) await chown(path, runAs.uid, runAs.gid)
    }
    await writePassword(join(staging, 'password'), password, runAs)
    await runInitdb(binaries, data, runAs, [
      `--username=${user}`,
      // Relative to the working directory of initdb.
      '--pwfile=../password',
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // Sorts by code point and handles the letters of every script, the same on every machine.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...(isDurable ? [] : ['--no-sync']),
    ])
    await writePassword(join(data, passwordFile), password, runAs)
    await rename(data, folder)
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

async function writePassword(path: string, password: string, runAs: RunAs | null): Promise<void> {
  await writeFile(path, `${password}\n`, { mode: 0o600, flag: 'wx', flush: true })
  if (runAs) await chown(path, runAs.uid, runAs.gid)
}

async function runInitdb(binaries: string, cwd: string, runAs: RunAs | null, options: string[]): Promise<void> {
  const child = spawn(join(binaries, 'bin', 'initdb'), ['-D', dataArgument(cwd), ...options], {
    cwd,
    env: programEnv(),
    stdio: ['ignore', 'ignore', 'pipe'],
    ...runAs,
  })
  const messages = text(child.stderr)
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`initdb failed: ${(await messages).trim() || `it ended with ${code}`}`)
}
