import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { eicar } from './scanner-stand-in.ts'

const program = '/usr/sbin/clamd'

/** Whether Debian's clamd is installed. */
export const hasClamd = existsSync(program)

/**
 * Debian's clamd with one signature, which finds EICAR anywhere in a file; ends with the test.
 * @param settings lines of clamd.conf
 * @returns the path of its socket
 */
export async function startRealClamd(settings: Record<string, string> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-clamd-'))
  const socket = join(folder, 'socket')
  const conf = {
    Foreground: 'yes',
    DatabaseDirectory: folder,
    TemporaryDirectory: folder,
    LocalSocket: socket,
    MaxThreads: '2',
    SelfCheck: '0',
    User: execFileSync('id', ['-un'], { encoding: 'utf8' }).trim(),
    ...settings,
  }
  await writeFile(join(folder, 'test.ndb'), `Eicar-Anywhere:0:*:${eicar.toString('hex')}\n`)
  const lines = Object.entries(conf).map(([name, value]) => `${name} ${value}\n`)
  await writeFile(join(folder, 'clamd.conf'), lines.join(''))
  const server = spawn(program, ['-c', join(folder, 'clamd.conf')], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(server, 'exit')
  onTestFinished(async () => {
    server.kill('SIGKILL')
    await exited
    await rm(folder, { recursive: true, force: true })
  })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk
        if (output.includes('Self checking disabled')) resolve()
      })
    exited.then(() => reject(new Error(`clamd ended: ${output}`)), reject)
  })
  return socket
}
