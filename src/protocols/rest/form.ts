import type { Readable } from 'node:stream'
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy'
import type { FastifyRequest } from 'fastify'
import type { BodySlot } from '../../core/body/body-gate.ts'
import { UploadError } from '../../core/errors/error.ts'

/** What to do with what a form brings, in its order. A file must be read to its end, or the form stands still. */
export interface FormReader {
  /** @throws to refuse the form */
  field(name: string, value: string): void
  file(filename: string, contentType: string, body: Readable): Promise<void>
}

const limits = {
  files: 20,
  fields: 20,
  parts: 40,
  fieldNameSize: 100,
  fieldSize: 1024,
  headerPairs: 20,
  headerSize: 8192,
}

// What Content-Transfer-Encoding says where there is none.
const plainEncodings = ['', '7bit', '8bit', 'binary']

export interface FormReading {
  /** Ends the form when, outside of its files, no byte comes for so long. 0: never. */
  idleMs: number
  /** Takes a place among all bodies until the first file, which takes its own; not given: there are no places. */
  enter?: (() => BodySlot) | undefined
}

// What is around files: boundaries, headers, fields, and what stands before the first boundary and after the last one. The parser holds
// some of what came, so that this is more than it lets pass.
const mostOutside = 512 * 1024
const longestOutsideMs = 30_000

/**
 * Reads a `multipart/form-data` body as it comes. Resolves when the form was whole and everything in it was taken; whatever
 * goes wrong with it or with the reader breaks off the file that is being read, and rejects once the reader has let go.
 * @throws UploadError UNSUPPORTED_CONTENT_TYPE, INVALID_REQUEST, INVALID_FIELD, BODY_TIMEOUT
 */
export async function readForm(request: FastifyRequest, reading: FormReading, reader: FormReader): Promise<void> {
  const { idleMs, enter } = reading
  const { raw } = request
  const form = openForm(request)
  const over = Promise.withResolvers<void>()
  /** Files are taken one after the other, though the parser may announce the next while the store still has the last. */
  let work = Promise.resolve()
  let current: Readable | null = null
  let lastByteAt = performance.now()
  /** Since when the parser is between files; the time of that before. */
  let outsideSince = lastByteAt
  let outsideMs = 0
  let came = 0
  const files: { bytesRead: number }[] = []
  const place = enter?.()

  const fail = (error: unknown) => {
    over.reject(error)
    current?.destroy()
  }
  const tooMany = () => fail(new UploadError('INVALID_REQUEST', `A form may bring at most ${limits.files} files.`))
  const onBreak = () => {
    if (!raw.readableEnded) fail(new UploadError('INVALID_REQUEST', 'The form did not arrive whole.'))
  }
  const onGiveWay = () => fail(place?.signal.reason)
  place?.signal.addEventListener('abort', onGiveWay, { once: true })
  const leavePlace = () => {
    place?.signal.removeEventListener('abort', onGiveWay)
    place?.leave()
  }
  /** Asked when the parser has told everything apart that came before. */
  const checkOutside = () => {
    const inFiles = files.reduce((bytes, { bytesRead }) => bytes + bytesRead, 0)
    if (came - inFiles > mostOutside)
      throw new UploadError('INVALID_REQUEST', `What is around the files of a form may have ${mostOutside} bytes.`)
  }
  const onData = (chunk: Buffer) => {
    lastByteAt = performance.now()
    try {
      checkOutside()
    } catch (error) {
      fail(error)
    }
    came += chunk.length
    place?.received(chunk.length)
  }
  const watch = () => {
    if (current) return
    const now = performance.now()
    if (idleMs > 0 && now - lastByteAt >= idleMs)
      fail(new UploadError('BODY_TIMEOUT', 'No bytes came for too long. Please send the form again.'))
    else if (outsideMs + now - outsideSince > longestOutsideMs)
      fail(new UploadError('BODY_TIMEOUT', 'What is around the files came too slowly. Please send the form again.'))
  }

  form.on('field', (name, value, _nameTruncated, valueTruncated) => {
    work = work.then(() => {
      if (valueTruncated) throw new UploadError('INVALID_FIELD', 'A field of the form is too long.')
      reader.field(name, value)
    })
    work.catch(fail)
  })
  form.on('file', (_name, file, filename, encoding, contentType) => {
    // Heard only by whoever reads the file, and before that by nobody.
    file.on('error', () => {})
    files.push(file)
    work = work.then(async () => {
      if (!filename) throw new UploadError('INVALID_FIELD', 'A file in the form has no name.')
      if (!plainEncodings.includes(encoding.toLowerCase())) throw encoded(encoding)
      leavePlace()
      current = file
      outsideMs += performance.now() - outsideSince
      await reader.file(filename, contentType, file)
      current = null
      lastByteAt = performance.now()
      outsideSince = lastByteAt
    })
    work.catch(fail)
  })
  form.on('partsLimit', tooMany)
  form.on('filesLimit', tooMany)
  form.on('fieldsLimit', tooMany)
  form.on('error', () => fail(new UploadError('INVALID_REQUEST', 'The form is not a valid one.')))
  form.on('finish', () => void work.then(checkOutside).then(over.resolve, fail))
  raw.on('data', onData)
  raw.on('close', onBreak)
  raw.on('error', onBreak)
  const timer = setInterval(watch, Math.max(50, Math.min(1000, (idleMs || 4000) / 4)))

  raw.pipe(form)
  try {
    await over.promise
  } finally {
    clearInterval(timer)
    leavePlace()
    raw.off('data', onData)
    raw.unpipe(form)
    // The reader still holds the file that was broken off.
    await work.catch(() => {})
  }
}

/** The encoded bytes would become the file. */
function encoded(encoding: string): UploadError {
  const message = `A file in the form has the Content-Transfer-Encoding ${encoding}: send the bytes of the file as they are.`
  return new UploadError('UNSUPPORTED_CONTENT_TYPE', message)
}

function openForm({ headers }: FastifyRequest): BusboyInstance {
  const contentType = headers['content-type'] ?? ''
  if (!/^multipart\/form-data\s*;/i.test(contentType)) {
    throw new UploadError('UNSUPPORTED_CONTENT_TYPE', 'Files are sent here as multipart/form-data.')
  }
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      limits,
      isPartAFile: (_field, _type, filename) => filename !== undefined,
    })
  } catch {
    throw new UploadError('INVALID_REQUEST', 'The form is not a valid one: it has no boundary.')
  }
}
