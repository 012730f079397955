import type { EventEmitter } from 'node:events'
import type { BusboyInstance } from '@fastify/busboy'

/** The headers of one part of a form, with their names in lower case. */
export type PartHeaders = Record<string, string[] | undefined>

/**
 * Calls `onHeaders` with the headers of each part of `form`, before `form` emits the part or skips it. busboy passes on the name and the
 * types of a part only, so this listens to the parser inside of it.
 */
export function onPartHeaders(form: BusboyInstance, onHeaders: (headers: PartHeaders) => void): void {
  const { parser } = (form as unknown as { _parser: { parser: EventEmitter } })._parser
  parser.prependListener('part', (part: EventEmitter) => part.on('header', onHeaders))
}
