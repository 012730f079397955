import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Algorithm, algorithms, isAlgorithm, startSum } from './checksums.ts'
import { S3Error } from './error.ts'
import type { Signed } from './signature.ts'

/** The size and hashes of a received body. */
export interface Received {
  size: number
  md5: Buffer | null
  /** The one checksum that the client sent, verified. */
  checksum: { algorithm: Algorithm; sum: Buffer } | null
}

const emptyHash = createHash('sha256').digest('hex')
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/**
 * Reads the body of `request`, passes its payload to `take`, and verifies what the client declared about it: length, hash,
 * Content-MD5, checksum header or trailer, the signatures of its chunks.
 * @throws S3Error when the body contradicts a declaration; the caller must then discard what `take` received
 */
export async function receive(
  request: IncomingMessage,
  signed: Signed,
  header: (name: string) => string | undefined,
  options: { md5: boolean; take: (chunk: Buffer) => void | Promise<void> },
): Promise<Received> {
  const wantedMd5 = header('content-md5')
  const md5 = options.md5 || wantedMd5 !== undefined ? createHash('md5') : null
  const isStreaming = signed.payload.startsWith('STREAMING-')
  const hash = !isStreaming && signed.payload !== 'UNSIGNED-PAYLOAD' ? createHash('sha256') : null
  const declared = declaredChecksum(header)
  const sum = declared ? startSum(declared.algorithm) : null
  const trailers: Record<string, string> = {}
  let size = 0

  // Leaving a plain `for await` would close the connection, and the client would never read the error response.
  const wire: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false })
  const body = isStreaming ? unwrap(wire, signed, trailers) : wire
  for await (const chunk of body) {
    size += chunk.length
    md5?.update(chunk)
    hash?.update(chunk)
    sum?.update(chunk)
    await options.take(chunk)
  }

  if (!request.complete) throw new S3Error('IncompleteBody', 'The request body terminated unexpectedly')
  const decodedLength = header('x-amz-decoded-content-length')
  if (isStreaming && decodedLength === undefined)
    throw new S3Error('MissingContentLength', 'You must provide the x-amz-decoded-content-length HTTP header.')
  if (decodedLength !== undefined && isStreaming && Number(decodedLength) !== size)
    throw new S3Error('IncompleteBody', 'The body is not as long as x-amz-decoded-content-length says')
  if (hash && hash.digest('hex') !== signed.payload)
    throw new S3Error(
      'XAmzContentSHA256Mismatch',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )

  const md5Sum = md5?.digest() ?? null
  if (wantedMd5 !== undefined) {
    const wanted = Buffer.from(wantedMd5, 'base64')
    if (wanted.length !== 16) throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid.')
    if (!md5Sum?.equals(wanted))
      throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.')
  }
  if (!declared || !sum) return { size, md5: md5Sum, checksum: null }
  const value = declared.value ?? trailers[`x-amz-checksum-${declared.algorithm}`]
  if (value === undefined) throw new S3Error('InvalidRequest', 'The trailer that x-amz-trailer announced did not come')
  return {
    size,
    md5: md5Sum,
    checksum: { algorithm: declared.algorithm, sum: verified(declared.algorithm, value, sum.digest()) },
  }
}

function declaredChecksum(
  header: (name: string) => string | undefined,
): { algorithm: Algorithm; value?: string } | null {
  const given = algorithms.filter((name) => header(`x-amz-checksum-${name}`) !== undefined)
  if (given.length > 1) throw new S3Error('InvalidRequest', 'Expecting a single x-amz-checksum- header')
  if (given[0]) return { algorithm: given[0], value: header(`x-amz-checksum-${given[0]}`) ?? '' }
  const trailer = header('x-amz-trailer')?.toLowerCase()
  if (trailer === undefined) return null
  const name = trailer.replace('x-amz-checksum-', '')
  if (!isAlgorithm(name))
    throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported')
  return { algorithm: name }
}

function verified(algorithm: Algorithm, value: string, sum: Buffer): Buffer {
  const given = Buffer.from(value, 'base64')
  if (given.length !== sum.length)
    throw new S3Error('InvalidRequest', `Value for x-amz-checksum-${algorithm} header is invalid.`)
  if (!timingSafeEqual(given, sum))
    throw new S3Error(
      'BadDigest',
      `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
    )
  return sum
}

/**
 * Removes the `aws-chunked` framing: `<hex size>[;chunk-signature=…]\r\n<bytes>\r\n`, a chunk of size 0, trailers.
 * @see docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
async function* unwrap(
  request: AsyncIterable<Buffer>,
  signed: Signed,
  trailers: Record<string, string>,
): AsyncGenerator<Buffer> {
  const isSigned = signed.payload.startsWith('STREAMING-AWS4-HMAC-SHA256-PAYLOAD')
  const reader = byteReader(request)
  try {
    let previous = signed.signature
    for (;;) {
      const [sizeText = '', extension = ''] = (await reader.line()).split(';')
      if (!/^[0-9a-f]+$/i.test(sizeText)) throw new S3Error('InvalidRequest', 'The body is not aws-chunked')
      const size = Number.parseInt(sizeText, 16)
      const hash = isSigned ? createHash('sha256') : null
      for await (const chunk of reader.take(size)) {
        hash?.update(chunk)
        yield chunk
      }
      if (hash) {
        const wanted = signed.sign('AWS4-HMAC-SHA256-PAYLOAD', previous, emptyHash, hash.digest('hex'))
        if (extension !== `chunk-signature=${wanted}`)
          throw new S3Error('SignatureDoesNotMatch', 'The signature of a chunk of the body is wrong.')
        previous = wanted
      }
      if (size === 0) break
      if ((await reader.line()) !== '') throw new S3Error('InvalidRequest', 'A chunk is longer than it says')
    }
    for (let line = await reader.line(); line !== ''; line = await reader.line()) {
      const colon = line.indexOf(':')
      trailers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
    }
    const { 'x-amz-trailer-signature': signature, ...content } = trailers
    if (isSigned && Object.keys(content).length > 0) {
      const canonical = Object.entries(content).map(([name, value]) => `${name}:${value}\n`)
      if (signature !== signed.sign('AWS4-HMAC-SHA256-TRAILER', previous, sha256(canonical.sort().join(''))))
        throw new S3Error('SignatureDoesNotMatch', 'The signature of the trailer is wrong.')
    }
    await reader.end()
  } finally {
    await reader.release()
  }
}

interface ByteReader {
  /** The bytes up to the next CRLF, or to the end. */
  line(): Promise<string>
  take(count: number): AsyncGenerator<Buffer>
  /** Asserts that no bytes follow. */
  end(): Promise<void>
  /** Releases the source, so that another reader can continue. */
  release(): Promise<void>
}

function byteReader(source: AsyncIterable<Buffer>): ByteReader {
  const iterator = source[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  const more = async (): Promise<boolean> => {
    const next = await iterator.next()
    if (next.done) return false
    rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value])
    return true
  }
  return {
    async line() {
      for (;;) {
        const end = rest.indexOf('\r\n')
        if (end >= 0) {
          const line = rest.toString('latin1', 0, end)
          rest = rest.subarray(end + 2)
          return line
        }
        if (rest.length > 8192) throw new S3Error('InvalidRequest', 'The body is not aws-chunked')
        if (await more()) continue
        const line = rest.toString('latin1')
        rest = Buffer.alloc(0)
        return line
      }
    },
    async *take(count) {
      for (let left = count; left > 0; ) {
        if (rest.length === 0 && !(await more()))
          throw new S3Error('IncompleteBody', 'You did not provide the number of bytes specified by the chunk.')
        const chunk = rest.subarray(0, left)
        rest = rest.subarray(chunk.length)
        left -= chunk.length
        yield chunk
      }
    },
    async end() {
      if (rest.length > 0 || (await more()))
        throw new S3Error('InvalidRequest', 'Bytes follow the end of the aws-chunked body')
    },
    async release() {
      await iterator.return?.()
    },
  }
}
