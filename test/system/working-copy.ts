import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'

const run = promisify(execFile)

/**
 * A git repository with the current state of the project, uncommitted changes included, in a folder of mode 0700. It is removed at the end
 * of the test.
 */
export async function workingCopy(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'landfall-copy-'))
  onTestFinished(() => rm(parent, { recursive: true, force: true, maxRetries: 5 }))
  const folder = join(parent, 'landfall')
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    maxBuffer: 64 * 1024 ** 2,
  })
  for (const file of stdout.split('\0').filter((name) => name && existsSync(name))) await cp(file, join(folder, file))
  const git = (...args: string[]) =>
    run('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], { cwd: folder })
  await git('init', '--quiet')
  await git('add', '--all')
  await git('commit', '--quiet', '--message', 'now')
  return folder
}
