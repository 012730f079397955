import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** A script that runs in a shell, with all processes that it starts. */
export interface ShellRun {
  /** Everything that it has written. */
  output(): string
  /** Resolves to the first match of `text` in its output. @throws Error with the output, when it ends before */
  waitFor(text: RegExp): Promise<RegExpMatchArray>
  /** Resolves to its exit code, `null` when a signal ended it. */
  ended: Promise<number | null>
  /** Ctrl-C: signals the script and all processes that it started. Resolves as `ended` does. */
  interrupt(): Promise<number | null>
}

const inherited = ['HOME', 'LANG', 'TMPDIR', 'SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']

/**
 * Runs `script` as a user does in a terminal: in `cwd`, with the PATH of this machine and, of the environment, only `env`. It is killed at
 * the end of the test.
 */
export function runInShell(script: string, { cwd, env = {} }: { cwd: string; env?: Record<string, string> }): ShellRun {
  const kept = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd,
    env: { ...Object.fromEntries(kept), PATH: ownPath(), npm_config_prefer_offline: 'true', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  let isOver = false
  let more = Promise.withResolvers<void>()
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
      more.resolve()
      more = Promise.withResolvers()
    })
  const ended = once(child, 'close').then(([code]) => {
    isOver = true
    return code as number | null
  })
  const signalAll = (signal: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  onTestFinished(async () => {
    signalAll('SIGKILL')
    await ended
  })
  return {
    output: () => output,
    ended,
    interrupt() {
      signalAll('SIGINT')
      return ended
    },
    async waitFor(text) {
      for (;;) {
        const found = output.match(text)
        if (found) return found
        if (isOver) throw new Error(`${script}\nended without ${text}:\n${output.slice(-4000)}`)
        await Promise.race([more.promise, ended])
      }
    },
  }
}

/** PATH without the folders that npm adds for scripts. */
function ownPath(): string {
  return (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => !folder.includes('node_modules'))
    .join(':')
}
