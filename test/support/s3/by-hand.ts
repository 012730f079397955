import { createHash, createHmac } from 'node:crypto'
import http from 'node:http'
import aws4 from 'aws4'
import type { S3StandIn } from '../s3-stand-in.ts'

// Requests that no SDK sends: wrong on purpose, or with framing that SDKs no longer use.

export interface Reply {
  status: number
  body: string
}

/** A request signed by aws4, which signs any request. */
export function raw(
  s3: S3StandIn,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Buffer | string = '',
): Promise<Reply> {
  const { host } = new URL(s3.endpoint)
  const options = aws4.sign(
    { service: 's3', region: s3.region, host, method, path: `/${s3.bucket}/${path}`, headers, body },
    { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  )
  return send(s3, method, options.path ?? '', options.headers as Record<string, string>, body)
}

export function send(
  s3: S3StandIn,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Buffer | string,
): Promise<Reply> {
  const { hostname, port } = new URL(s3.endpoint)
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, method, path, headers }, (response) => {
      let text = ''
      response
        .on('data', (chunk) => (text += chunk))
        .on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
    })
    request.on('error', reject).end(body)
  })
}

/**
 * An aws-chunked PUT of `a`, signed as AWS describes. `sent` is sent in place of the signed chunks, `trailerSignature` in place of the
 * right one.
 */
export function putChunked(
  s3: S3StandIn,
  payload: string,
  chunks: string[],
  trailer: string,
  sent = chunks.join(''),
  trailerSignature?: string,
): Promise<Reply> {
  const isSigned = payload.includes('HMAC')
  const sha = (text: string) => createHash('sha256').update(text).digest('hex')
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const date = `${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}`
  const day = date.slice(0, 8)
  const scope = `${day}/${s3.region}/s3/aws4_request`
  const key = hmac(hmac(hmac(hmac(`AWS4${s3.secretAccessKey}`, day), s3.region), 's3'), 'aws4_request')
  const headers: Record<string, string> = {
    'content-encoding': 'aws-chunked',
    host: new URL(s3.endpoint).host,
    'x-amz-content-sha256': payload,
    'x-amz-date': date,
    'x-amz-decoded-content-length': String(chunks.join('').length),
    ...(trailer ? { 'x-amz-trailer': trailer.split(':')[0] ?? '' } : {}),
  }
  const names = Object.keys(headers).sort()
  const canonical = [
    'PUT',
    `/${s3.bucket}/a`,
    '',
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    payload,
  ].join('\n')
  let previous = hmac(key, ['AWS4-HMAC-SHA256', date, scope, sha(canonical)].join('\n')).toString('hex')
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${s3.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${previous}`

  let body = ''
  let position = 0
  for (const chunk of [...chunks, '']) {
    if (isSigned)
      previous = hmac(
        key,
        ['AWS4-HMAC-SHA256-PAYLOAD', date, scope, previous, sha(''), sha(chunk)].join('\n'),
      ).toString('hex')
    body += `${chunk.length.toString(16)}${isSigned ? `;chunk-signature=${previous}` : ''}\r\n`
    if (chunk !== '') body += `${sent.slice(position, position + chunk.length)}\r\n`
    position += chunk.length
  }
  if (trailer) body += `${trailer}\r\n`
  if (trailer && isSigned) {
    const toSign = ['AWS4-HMAC-SHA256-TRAILER', date, scope, previous, sha(`${trailer}\n`)].join('\n')
    body += `x-amz-trailer-signature:${trailerSignature ?? hmac(key, toSign).toString('hex')}\r\n`
  }
  return send(s3, 'PUT', `/${s3.bucket}/a`, { ...headers, 'content-length': String(body.length + 2) }, `${body}\r\n`)
}
