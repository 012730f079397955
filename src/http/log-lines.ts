import { hostname } from 'node:os'
import { stdTimeFunctions } from 'pino'
import { withoutSecretHeaders } from './log-secrets.ts'
import { isText, type LogFormat, type TextTarget, textStream } from './log-text.ts'

export interface LogLines {
  level: string
  format: LogFormat
  /** Where lines go. Default: standard output. */
  target?: TextTarget
  /** The number of the worker whose lines they are; `null`: there is one process. */
  worker?: number | null
}

/** pino's options for the lines of every process, without secret headers: as JSON with the time in ISO 8601 and the name of the level, or as text for a terminal. */
export function logLines({ level, format, target = process.stdout, worker = null }: LogLines) {
  return {
    level,
    stream: isText(format, target) ? textStream(target) : target,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (name: string) => ({ level: name }), log: withoutSecretHeaders },
    base: { pid: process.pid, hostname: hostname(), ...(worker !== null && { worker }) },
  }
}
