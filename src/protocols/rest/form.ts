import type { Readable } from 'node:stream'
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy'
import type { FastifyRequest } from 'fastify'
import { UploadError } from '../../core/errors.ts'

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

/**
 * Reads a `multipart/form-data` body as it comes. Resolves when the form was whole and everything in it was taken; whatever
 * goes wrong with it or with the reader breaks off the file that is being read, and rejects once the reader has let go.
 * @throws UploadError UNSUPPORTED_CONTENT_TYPE, INVALID_REQUEST, INVALID_FIELD, BODY_TIMEOUT
 */
export async function readForm(request: FastifyRequest, idleMs: number, reader: FormReader): Promise<void> {
  const { raw } = request
  const form = openForm(request)
  const over = Promise.withResolvers<void>()
  /** Files are taken one after the other, though the parser may announce the next while the store still has the last. */
  let work = Promise.resolve()
  let current: Readable | null = null
  let lastByteAt = performance.now()

  const fail = (error: unknown) => {
    over.reject(error)
    current?.destroy()
  }
  const tooMany = () => fail(new UploadError('INVALID_REQUEST', `A form may bring at most ${limits.files} files.`))
  const onBreak = () => {
    if (!raw.readableEnded) fail(new UploadError('INVALID_REQUEST', 'The form did not arrive whole.'))
  }
  const onData = () => {
    lastByteAt = performance.now()
  }
  const watch = () => {
    if (current || performance.now() - lastByteAt < idleMs) return
    fail(new UploadError('BODY_TIMEOUT', 'No bytes came for too long. Please send the form again.'))
  }

  form.on('field', (name, value, _nameTruncated, valueTruncated) => {
    work = work.then(() => {
      if (valueTruncated) throw new UploadError('INVALID_FIELD', 'A field of the form is too long.')
      reader.field(name, value)
    })
    work.catch(fail)
  })
  form.on('file', (_name, file, filename, _encoding, contentType) => {
    // Heard only by whoever reads the file, and before that by nobody.
    file.on('error', () => {})
    work = work.then(async () => {
      if (!filename) throw new UploadError('INVALID_FIELD', 'A file in the form has no name.')
      current = file
      await reader.file(filename, contentType, file)
      current = null
      lastByteAt = performance.now()
    })
    work.catch(fail)
  })
  form.on('partsLimit', tooMany)
  form.on('filesLimit', tooMany)
  form.on('fieldsLimit', tooMany)
  form.on('error', () => fail(new UploadError('INVALID_REQUEST', 'The form is not a valid one.')))
  form.on('finish', () => void work.then(over.resolve, fail))
  raw.on('data', onData)
  raw.on('close', onBreak)
  raw.on('error', onBreak)
  const timer = idleMs > 0 ? setInterval(watch, Math.max(50, Math.min(1000, idleMs / 4))) : undefined

  raw.pipe(form)
  try {
    await over.promise
  } finally {
    clearInterval(timer)
    raw.off('data', onData)
    raw.unpipe(form)
    // The reader still holds the file that was broken off.
    await work.catch(() => {})
  }
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
