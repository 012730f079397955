import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** A child process that answers one message after another. */
export interface Child<Message, Reply> {
  readonly pid: number
  /** @throws Error with its standard error, when the process ends instead of answering */
  ask(message: Message): Promise<Reply>
  /** Resolves to the first message that it sends unasked. */
  first<T>(): Promise<T>
  kill(): Promise<void>
  /** Lets it exit normally, so that Node writes the CPU profile. */
  leave(): Promise<void>
  /** Asks it to stop, so that it ends what it started. */
  stop(): Promise<void>
}

export interface ChildOptions {
  script: string
  environment?: Record<string, string>
  /** Flags of Node. */
  nodeFlags?: string[]
  cwd?: string
  /** The Node to run; not given: the one of this process. */
  node?: string | undefined
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
const inherited = ['PATH', 'HOME', 'LANG', 'TZ']

/** Starts `script` in a child process. Its standard output is discarded. */
export function start<Message, Reply>({ script, ...options }: ChildOptions): Child<Message, Reply> {
  const kept = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  const child = fork(script, {
    cwd: options.cwd,
    execArgv: options.nodeFlags ?? [],
    execPath: options.node ?? process.execPath,
    env: { ...Object.fromEntries(kept), ...options.environment },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000)
  })
  running.add(child)
  const over = once(child, 'exit').then(() => running.delete(child))

  function reply<T>(): Promise<T> {
    return Promise.race([
      once(child, 'message').then(([message]) => message as T),
      over.then(() => Promise.reject(new Error(`${script} ended: ${stderr}`))),
    ])
  }

  return {
    pid: child.pid ?? 0,
    async ask(message) {
      const answer = reply<Reply>()
      child.send(message as object)
      return answer
    },
    first: reply,
    async kill() {
      child.kill('SIGKILL')
      await over
    },
    async leave() {
      if (child.connected) child.disconnect()
      await over
    },
    async stop() {
      child.kill('SIGTERM')
      await over
    },
  }
}
