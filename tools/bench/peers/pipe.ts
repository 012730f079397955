/*
 * The lower bound for an HTTP server on Node that stores what it receives: no uploads, no offsets, no durability. The body of a request is
 * piped into one PUT to S3 (which costs as much as an UploadPart) or, without a bucket, into a file.
 */
import { createWriteStream } from 'node:fs'
import { createServer, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import aws4 from 'aws4'

const { S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, DATA_DIR = '', PORT } = process.env
const endpoint = S3_ENDPOINT ? new URL(S3_ENDPOINT) : null
const isTls = endpoint?.protocol === 'https:'
const agent = new (isTls ? HttpsAgent : HttpAgent)({ keepAlive: true })
let serial = 0

async function pipeToS3(body: IncomingMessage, size: string): Promise<void> {
  const { host, hostname, port } = endpoint!
  const path = `/${S3_BUCKET}/bound-${serial++}`
  const headers = { 'Content-Length': size, 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' }
  const keys = { accessKeyId: S3_ACCESS_KEY_ID!, secretAccessKey: S3_SECRET_ACCESS_KEY! }
  const signed = aws4.sign({ host, path, method: 'PUT', service: 's3', region: 'us-east-1', headers }, keys)
  const outgoing = (isTls ? httpsRequest : httpRequest)({
    hostname,
    port,
    path,
    method: 'PUT',
    headers: signed.headers as Record<string, string>,
    agent,
  })
  const answered = new Promise<IncomingMessage>((resolve, reject) =>
    outgoing.once('response', resolve).once('error', reject),
  )
  await pipeline(body, outgoing)
  const response = await answered
  response.resume()
  if (response.statusCode !== 200) throw new Error(`S3 answered ${response.statusCode}`)
}

createServer({ requestTimeout: 0 }, (request, response) => {
  const size = request.headers['content-length'] ?? '0'
  const store = endpoint
    ? () => pipeToS3(request, size)
    : () => pipeline(request, createWriteStream(join(DATA_DIR, `bound-${serial++}`)))
  void (size === '0' ? Promise.resolve() : store())
    .then(() => response.writeHead(request.method === 'POST' ? 201 : 204, { location: '/files/one' }).end())
    .catch(() => response.destroy())
}).listen(Number(PORT), '127.0.0.1')
