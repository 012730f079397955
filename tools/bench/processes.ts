import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** A process that answers what it is asked, one question after another. */
export interface Asked<Question, Reply> {
  readonly pid: number
  /** @throws Error with what the process wrote, when it ends instead of answering */
  ask(question: Question): Promise<Reply>
  /** Resolves to the first message it sends by itself. */
  first<T>(): Promise<T>
  kill(): Promise<void>
  /** Lets it end by itself: what Node writes when a process ends is then written. */
  leave(): Promise<void>
}

export interface Starting {
  script: string
  environment?: Record<string, string>
  /** Flags of Node itself. */
  nodeFlags?: string[]
  cwd?: string
  /** Another Node than the one that runs this. */
  node?: string | undefined
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
const inherited = ['PATH', 'HOME', 'LANG', 'TZ']

/** Starts `script` in a process of its own; what it says on standard output goes nowhere, as fast as it likes. */
export function start<Question, Reply>({ script, ...options }: Starting): Asked<Question, Reply> {
  const kept = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  const child = fork(script, {
    cwd: options.cwd,
    execArgv: options.nodeFlags ?? [],
    execPath: options.node ?? process.execPath,
    env: { ...Object.fromEntries(kept), ...options.environment },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000)
  })
  running.add(child)
  const over = once(child, 'exit').then(() => running.delete(child))

  function reply<T>(): Promise<T> {
    return Promise.race([
      once(child, 'message').then(([message]) => message as T),
      over.then(() => Promise.reject(new Error(`${script} ended: ${said}`))),
    ])
  }

  return {
    pid: child.pid ?? 0,
    async ask(question) {
      const answer = reply<Reply>()
      child.send(question as object)
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
  }
}
