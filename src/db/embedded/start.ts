import { spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { dataArgument, programEnv } from './cluster-path.ts'
import type { RunAs } from './run-as.ts'

export interface ClusterStart {
  folder: string
  binaries: string
  runAs: RunAs | null
  settings: Record<string, string | number>
  /** The file that the server's messages are added to. */
  log: string
  /**
   * A process that `postmaster.pid` names and that is not Postgres: it got the number of a server that was killed. Postgres would
   * take it for that server.
   */
  formerPid?: number | null
  /** Whether the server answers by now. */
  answers: () => Promise<boolean>
}

export interface RunningCluster {
  /** The first process of the server. */
  pid: number
  /** Resolves when every process of the server has ended. */
  gone: Promise<void>
  /** Until this is called, the server ends with this process, however that ends. */
  outlive(): void
  /** Ends the server, unless it was told to outlive this process. */
  stop(): Promise<void>
}

/** The server ended before it answered; the message has its last words. */
export class ClusterNotStarted extends Error {
  override name = 'ClusterNotStarted'
}

// The shell waits for a word of this process. When the process dies before it says it, the pipe ends and the server is stopped, so
// that no server is left that nothing looks after; `wait` leaves no zombie, whose id would look like a running server. Descriptor 3
// stays open in the processes of the server alone.
const guard = '"$@" </dev/null & exec 3>&-; read -r word && exit; kill -INT $!; wait $!'
const askAgainMs = 10

/**
 * Starts Postgres on the cluster in `folder`, and resolves when it answers.
 * @throws ClusterNotStarted
 */
export async function startCluster({ folder, binaries, ...start }: ClusterStart): Promise<RunningCluster> {
  const log = await open(start.log, 'a', 0o600)
  const { size: said } = await log.stat()
  const options = Object.entries(start.settings).map(([name, value]) => `-c${name}=${value}`)
  const program = [join(binaries, 'bin', 'postgres'), '-D', dataArgument(folder), ...options]
  const shell = spawn('/bin/sh', ['-c', guard, 'landfall-postgres', ...program], {
    cwd: folder,
    // How pg_ctl says which process is not to be taken for a server.
    env: { ...programEnv(), ...(start.formerPid && { PG_GRANDPARENT_PID: String(start.formerPid) }) },
    detached: true,
    stdio: ['pipe', log.fd, log.fd, 'pipe'],
    ...start.runAs,
  })
  const failed = new Promise<never>((_, reject) => shell.once('error', reject))
  failed.catch(() => {})
  const leash = shell.stdin as Writable
  // The shell may have ended with its server.
  leash.on('error', () => {})
  // Nothing is ever said here: the end of it is the end of the last process that holds it.
  const life = shell.stdio[3] as Readable
  let isGone = false
  const gone = new Promise<void>((resolve) => {
    shell.once('exit', () => isGone && resolve())
    life.once('close', () => {
      isGone = true
      leash.destroy()
      if (shell.exitCode !== null || shell.signalCode !== null) resolve()
    })
  })
  life.resume()
  try {
    while (!isGone) {
      if (await Promise.race([start.answers(), failed, gone.then(() => false)])) break
      await Promise.race([pause(askAgainMs), failed])
    }
  } catch (error) {
    leash.destroy()
    if (shell.pid !== undefined) await gone
    throw error
  } finally {
    await log.close()
  }
  if (isGone) {
    const words = (await readFile(start.log)).subarray(said).toString().trim()
    throw new ClusterNotStarted(words || 'it ended without a word')
  }
  shell.unref()
  for (const stream of shell.stdio) (stream as { unref?: () => void } | null)?.unref?.()
  return {
    pid: await postmasterOf(folder),
    gone,
    outlive: () => void leash.end('go on\n'),
    stop() {
      leash.destroy()
      return gone
    },
  }
}

/** The first process of the server that runs, or last ran, on the cluster in `folder`. */
async function postmasterOf(folder: string): Promise<number> {
  const [pid = ''] = (await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n')
  return Number(pid)
}
