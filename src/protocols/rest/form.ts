import { AsyncLocalStorage } from 'node:async_hooks'
import { type Readable, Transform } from 'node:stream'
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy'
import type { FastifyRequest } from 'fastify'
import type { BodySlot } from '../../core/body/body-gate.ts'
import { errors } from '../../core/errors/errors.ts'
import { hasContentCoding } from '../../http/content-coding.ts'
import { onPartHeaders } from './part-headers.ts'

/** Receives the fields and files of a form, in their order. It must read each file to its end: the parser waits for it. */
export interface FormReader {
  /** @throws to reject the form */
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

// Values of Content-Transfer-Encoding that do not encode the bytes.
const plainEncodings = ['', '7bit', '8bit', 'binary']

export interface FormReading {
  /** The form fails when no byte arrives for this long outside of its files. 0: never. */
  idleMs: number
  /** Takes a slot of the body gate until the first file, which takes its own. Not given: there is no gate. */
  enter?: (() => BodySlot) | undefined
}

// The bytes around files: boundaries, headers, fields, and text before the first boundary and after the last one. The parser buffers
// some of what arrived, so the limit is above what it would let pass.
const maxOutsideBytes = 512 * 1024
const maxOutsideMs = 30_000
// A hundred of the smallest parts.
const sliceBytes = 4096

/**
 * Reads a `multipart/form-data` body as it arrives. Resolves when the form is whole and `reader` has taken everything in it. An
 * error in the form or in `reader` destroys the file that is being read, and rejects once `reader` has returned.
 * @throws UploadError UNSUPPORTED_CONTENT_TYPE, INVALID_REQUEST, INVALID_FIELD, BODY_TIMEOUT
 */
export async function readForm(request: FastifyRequest, reading: FormReading, reader: FormReader): Promise<void> {
  const { idleMs, enter } = reading
  const { raw } = request
  // The parser works in events of the connection, the reader for the user of this request.
  const takeField = AsyncLocalStorage.bind(reader.field)
  const takeFile = AsyncLocalStorage.bind(reader.file)
  const form = openForm(request)
  const done = Promise.withResolvers<void>()
  /** Serializes files: the parser may announce the next one while the store still writes the previous one. */
  let work = Promise.resolve()
  let current: Readable | null = null
  let lastByteAt = performance.now()
  /** When the parser last left a file, and the time that it spent outside of files before that. */
  let outsideSince = lastByteAt
  let outsideMs = 0
  let receivedBytes = 0
  const files: { bytesRead: number }[] = []
  const slot = enter?.()

  const slices = inSlices()
  const fail = (error: unknown) => {
    // The rest of what has arrived is not parsed.
    slices.unpipe(form)
    done.reject(error)
    current?.destroy()
  }
  const onTooMany = () => fail(errors.formTooManyParts({ files: limits.files, fields: limits.fields }))
  const onClose = () => {
    if (!raw.readableEnded) fail(errors.formIncomplete())
  }
  const onSlotAbort = () => fail(slot?.signal.reason)
  slot?.signal.addEventListener('abort', onSlotAbort, { once: true })
  const leaveSlot = () => {
    slot?.signal.removeEventListener('abort', onSlotAbort)
    slot?.leave()
  }
  /** To be called when the parser has assigned all earlier bytes to files or to the rest. */
  const checkOutside = () => {
    const inFiles = files.reduce((bytes, { bytesRead }) => bytes + bytesRead, 0)
    if (receivedBytes - inFiles > maxOutsideBytes) throw errors.formOverheadTooLarge({ most: maxOutsideBytes })
  }
  const onData = (chunk: Buffer) => {
    lastByteAt = performance.now()
    try {
      checkOutside()
    } catch (error) {
      fail(error)
    }
    receivedBytes += chunk.length
    slot?.received(chunk.length)
  }
  const checkTimeouts = () => {
    if (current) return
    const now = performance.now()
    if (idleMs > 0 && now - lastByteAt >= idleMs) fail(errors.formTimeout())
    else if (outsideMs + now - outsideSince > maxOutsideMs) fail(errors.formTooSlow())
  }

  let isEncoded = false
  onPartHeaders(form, (headers) => {
    isEncoded = hasContentCoding(headers['content-encoding']?.join(','))
    // The parser skips such a part, and the client would take the answer for an answer about all parts.
    if (!/^form-data\s*;/i.test(headers['content-disposition']?.[0] ?? '')) fail(errors.formInvalid())
  })
  form.on('field', (name, value, _nameTruncated, valueTruncated) => {
    const refused = isEncoded
    work = work.then(() => {
      if (refused) throw errors.contentCodingNotSupported()
      if (valueTruncated) throw errors.formFieldTooLong()
      takeField(name, value)
    })
    work.catch(fail)
  })
  form.on('file', (_name, file, filename, encoding, contentType) => {
    // The reader listens to errors only while it reads the file. Without a listener, an earlier error would end the process.
    file.on('error', () => {})
    files.push(file)
    const refused = isEncoded
    work = work.then(async () => {
      if (!filename) throw errors.formFileUnnamed()
      // The server would store the encoded bytes as the file.
      if (refused) throw errors.contentCodingNotSupported()
      if (!plainEncodings.includes(encoding.toLowerCase())) throw errors.formFileEncoded({ encoding })
      leaveSlot()
      current = file
      outsideMs += performance.now() - outsideSince
      await takeFile(filename, contentType, file)
      current = null
      lastByteAt = performance.now()
      outsideSince = lastByteAt
    })
    work.catch(fail)
  })
  form.on('partsLimit', onTooMany)
  form.on('filesLimit', onTooMany)
  form.on('fieldsLimit', onTooMany)
  form.on('error', () => fail(errors.formInvalid()))
  form.on('finish', () => void work.then(checkOutside).then(done.resolve, fail))
  raw.on('data', onData)
  raw.on('close', onClose)
  raw.on('error', onClose)
  const timer = setInterval(checkTimeouts, Math.max(50, Math.min(1000, (idleMs || 4000) / 4)))

  raw.pipe(slices).pipe(form)
  try {
    await done.promise
  } finally {
    clearInterval(timer)
    leaveSlot()
    raw.off('data', onData)
    raw.unpipe(slices)
    // The reader may still be busy with a file that was destroyed.
    await work.catch(() => {})
  }
}

/** Splits chunks: a chunk holds a thousand parts, and the parser would make all of them before any limit can stop it. */
function inSlices(): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (let at = 0; at < chunk.length; at += sliceBytes) this.push(chunk.subarray(at, at + sliceBytes))
      done()
    },
  })
}

function openForm({ headers }: FastifyRequest): BusboyInstance {
  const contentType = headers['content-type'] ?? ''
  if (!/^multipart\/form-data\s*;/i.test(contentType)) throw errors.formExpected()
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      limits,
      isPartAFile: (_field, _type, filename) => filename !== undefined,
    })
  } catch {
    throw errors.formWithoutBoundary()
  }
}
