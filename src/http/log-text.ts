/*
 * The log as text for a person at a terminal: time, level, message, and the fields that differ from line to line. Logs that go to a file
 * or to a collector stay JSON.
 */
import { styleText } from 'node:util'

export type LogFormat = 'auto' | 'json' | 'text'

/** Where text lines go. */
export interface TextTarget {
  write(text: string): unknown
  isTTY?: boolean | undefined
}

const colors = { debug: 'gray', trace: 'gray', info: 'green', warn: 'yellow', error: 'red', fatal: 'red' } as const
// Fields that the text shows in another place, or that are the same in every line.
const omittedFields = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'req', 'res', 'err', 'requestId', 'ms'])

/** Whether lines are written as text: `format` decides, and `auto` means text if `target` is a terminal. */
export function isText(format: LogFormat, target: Pick<TextTarget, 'isTTY'>): boolean {
  return format === 'text' || (format === 'auto' && target.isTTY === true)
}

/** A stream that takes the JSON lines of the logger and writes each as text to `target`, in color on a terminal unless NO_COLOR is set. */
export function textStream(target: TextTarget): { write(line: string): void } {
  const paint = target.isTTY === true && !process.env.NO_COLOR
  return { write: (line) => void target.write(toText(line, paint)) }
}

function toText(line: string, paint: boolean): string {
  let entry: Record<string, unknown>
  try {
    entry = JSON.parse(line)
  } catch {
    return line
  }
  const level = String(entry.level)
  const color = colors[level as keyof typeof colors] ?? 'green'
  const label = level.toUpperCase().padEnd(5)
  const time = new Date(String(entry.time)).toTimeString().slice(0, 8)
  const facts = [
    requestOf(entry),
    ...Object.entries(entry)
      .filter(([name]) => !omittedFields.has(name))
      .map(factOf),
  ]
  const start = [
    time,
    paint ? styleText(color, label, { validateStream: false }) : label,
    escapeControls(String(entry.msg ?? '')),
  ]
  return `${[...start, ...facts].filter((part) => part !== '').join('  ')}\n${stackOf(entry.err)}`
}

/** `GET /v1/me 200 12 ms` */
function requestOf({ req, res, ms }: Record<string, unknown>): string {
  const { method, url } = (req ?? {}) as { method?: unknown; url?: unknown }
  if (method === undefined) return ''
  const status = (res as { status?: unknown } | undefined)?.status
  return escapeControls(
    [method, url, status, ms === undefined ? '' : `${ms} ms`].filter((part) => part !== '').join(' '),
  )
}

function factOf([name, value]: [string, unknown]): string {
  if (value === undefined || value === null) return ''
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return escapeControls(`${name}=${/\s/.test(text) ? JSON.stringify(text) : text}`)
}

function stackOf(err: unknown): string {
  if (typeof err !== 'object' || err === null) return ''
  const { stack, message } = err as { stack?: unknown; message?: unknown }
  const lines = String(stack ?? message ?? '').split('\n')
  return lines.map((text) => `    ${escapeControls(text.trim())}\n`).join('')
}

/** Clients choose URLs and file names. Characters that would move the cursor, color the terminal or reorder the line become escapes. */
function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  )
}
