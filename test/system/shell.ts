import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** A script that runs in a shell, with everything that it starts. */
export interface ShellRun {
  /** Everything it has written. */
  heard(): string
  /** Resolves to the first match of `text` in what it has written or will write. @throws Error with what it wrote, when it ends before */
  said(text: RegExp): Promise<RegExpMatchArray>
  /** Resolves to its exit code, `null` when a signal ended it. */
  ended: Promise<number | null>
  /** Ctrl-C: the signal goes to the script and to all that it started. Resolves as `ended` does. */
  interrupt(): Promise<number | null>
}

const inherited = ['HOME', 'LANG', 'TMPDIR', 'SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']

/**
 * Runs `script` as a user does in a terminal: in `cwd`, with the machine's own PATH and nothing of the tests' environment but `env`.
 * Whatever still runs ends with the test.
 */
export function runInShell(script: string, { cwd, env = {} }: { cwd: string; env?: Record<string, string> }): ShellRun {
  const kept = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd,
    env: { ...Object.fromEntries(kept), PATH: ownPath(), npm_config_prefer_offline: 'true', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let heard = ''
  let isOver = false
  let more = Promise.withResolvers<void>()
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      heard += text
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
    heard: () => heard,
    ended,
    interrupt() {
      signalAll('SIGINT')
      return ended
    },
    async said(text) {
      for (;;) {
        const found = heard.match(text)
        if (found) return found
        if (isOver) throw new Error(`${script}\nended without ${text}:\n${heard.slice(-4000)}`)
        await Promise.race([more.promise, ended])
      }
    },
  }
}

/** Without the tools that npm puts before it for the scripts of a project. */
function ownPath(): string {
  return (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => !folder.includes('node_modules'))
    .join(':')
}
