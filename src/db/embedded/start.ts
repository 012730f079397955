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
  /** The file to which the server's messages are appended. */
  log: string
  /**
   * A process that is not Postgres although `postmaster.pid` names it: it got the pid of a server that was killed. Postgres would
   * mistake it for that server.
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
  detach(): void
  /** Ends the server, unless `detach` was called. */
  stop(): Promise<void>
}

/** The server ended before it answered; the message has what it wrote to its log. */
export class ClusterNotStarted extends Error {
  override name = 'ClusterNotStarted'
}

// The shell waits for a line from this process. If this process dies before it writes the line, the pipe closes and the shell stops the
// server, so that no server is left without a watch; `wait` leaves no zombie, whose pid would look like a running server. Descriptor 3
// stays open only in the processes of the server.
const guard = '"$@" </dev/null & exec 3>&-; read -r word && exit; kill -INT $!; wait $!'
const retryMs = 10

/**
 * Starts Postgres on the cluster in `folder` and resolves when it answers.
 * @throws ClusterNotStarted
 */
export async function startCluster({ folder, binaries, ...start }: ClusterStart): Promise<RunningCluster> {
  const log = await open(start.log, 'a', 0o600)
  const { size: logStart } = await log.stat()
  const options = Object.entries(start.settings).map(([name, value]) => `-c${name}=${value}`)
  const program = [join(binaries, 'bin', 'postgres'), '-D', dataArgument(folder), ...options]
  const shell = spawn('/bin/sh', ['-c', guard, 'landfall-postgres', ...program], {
    cwd: folder,
    // With this variable pg_ctl, too, tells Postgres which pid is not a server.
    env: { ...programEnv(), ...(start.formerPid && { PG_GRANDPARENT_PID: String(start.formerPid) }) },
    detached: true,
    stdio: ['pipe', log.fd, log.fd, 'pipe'],
    ...start.runAs,
  })
  const failed = new Promise<never>((_, reject) => shell.once('error', reject))
  failed.catch(() => {})
  const control = shell.stdin as Writable
  // The shell may have ended with its server.
  control.on('error', () => {})
  // Nothing is ever written here: it closes when the last process of the server ends.
  const alive = shell.stdio[3] as Readable
  let isGone = false
  const gone = new Promise<void>((resolve) => {
    shell.once('exit', () => isGone && resolve())
    alive.once('close', () => {
      isGone = true
      control.destroy()
      if (shell.exitCode !== null || shell.signalCode !== null) resolve()
    })
  })
  alive.resume()
  try {
    while (!isGone) {
      if (await Promise.race([start.answers(), failed, gone.then(() => false)])) break
      await Promise.race([pause(retryMs), failed])
    }
  } catch (error) {
    control.destroy()
    if (shell.pid !== undefined) await gone
    throw error
  } finally {
    await log.close()
  }
  if (isGone) {
    const messages = (await readFile(start.log)).subarray(logStart).toString().trim()
    throw new ClusterNotStarted(messages || 'it ended without a message')
  }
  shell.unref()
  for (const stream of shell.stdio) (stream as { unref?: () => void } | null)?.unref?.()
  return {
    pid: await postmasterOf(folder),
    gone,
    detach: () => void control.end('outlive\n'),
    stop() {
      control.destroy()
      return gone
    },
  }
}

/** The first process of the server that runs, or last ran, on the cluster in `folder`. */
async function postmasterOf(folder: string): Promise<number> {
  const [pid = ''] = (await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n')
  return Number(pid)
}
