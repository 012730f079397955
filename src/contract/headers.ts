/*
 * The header fields of each dialect, with what they mean: one table. CORS allows pages to send and to read all of them, and the OpenAPI
 * document describes a route by their names.
 */

/** A field as JSON Schema describes its value. */
export interface HeaderField {
  type: 'string' | 'integer'
  description: string
}

export interface HeaderTable {
  request: Record<string, HeaderField>
  response: Record<string, HeaderField>
}

const text = (description: string): HeaderField => ({ type: 'string', description })
const bytes = (description: string): HeaderField => ({ type: 'integer', description: `Bytes. ${description}` })

/** Fields of every request and answer, whatever it is about. */
export const commonHeaders = {
  request: {
    Authorization: text('`Bearer` and a token'),
    'Content-Type': text('The media type of the body'),
    // Some clients send it with an upload's URL. It is ignored.
    Location: text('Ignored'),
    'X-HTTP-Method-Override': text('The method of the request, for clients that can send POST only'),
    'X-Request-ID': text('The id under which a proxy logs the request'),
    'X-Requested-With': text('Ignored'),
    // Monitoring scripts add these to every request of a page (W3C Trace Context and Baggage; Sentry).
    traceparent: text('W3C Trace Context'),
    tracestate: text('W3C Trace Context'),
    baggage: text('W3C Baggage'),
    'sentry-trace': text('Sentry'),
  },
  response: {
    Allow: text('The methods that the URL supports'),
    'Retry-After': { type: 'integer', description: 'Seconds to wait before the request is sent again' },
    'WWW-Authenticate': text('The kind of token that the server takes'),
    'X-Request-Id': text('The id under which the server logs the request'),
  },
} as const satisfies HeaderTable

/** tus 1.0 and its extensions. */
export const tusHeaders = {
  request: {
    'Tus-Resumable': text('The version of tus: 1.0.0'),
    'Upload-Checksum': text(
      'An algorithm of Tus-Checksum-Algorithm, a space, and the Base64 of the digest of the body',
    ),
    'Upload-Concat': text('`partial`, or `final;` and the URLs of the partial uploads'),
    'Upload-Defer-Length': text('1: the length of the file is not known yet'),
    'Upload-Length': bytes('The length of the file'),
    'Upload-Metadata': text('Pairs of a key and a Base64 value: filename, filetype, category, fingerprint, …'),
    'Upload-Offset': bytes('Where the body belongs in the file: the offset of the upload'),
  },
  response: {
    Location: text('The URL of the upload'),
    'Tus-Checksum-Algorithm': text('The algorithms of Upload-Checksum'),
    'Tus-Extension': text('The extensions that the server has'),
    'Tus-Max-Size': bytes('The largest file that any role may send'),
    'Tus-Resumable': text('The version of tus: 1.0.0'),
    'Tus-Version': text('The versions of tus that the server has'),
    'Upload-Concat': text('As the client sent it'),
    'Upload-Defer-Length': text('1: the length of the file is not known yet'),
    'Upload-Expires': text('When the upload expires unless it receives more bytes (RFC 9110 date)'),
    'Upload-Length': bytes('The length of the file'),
    'Upload-Metadata': text('As the client sent it'),
    'Upload-Offset': bytes('What is durable on the server, without a gap from the start'),
    'Upload-Resume-Token': text('A bearer token for this upload only, valid until the upload ends'),
  },
} as const satisfies HeaderTable

/** Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload), and the fields of RFC 6266 and RFC 9530 that it uses. */
export const rufhHeaders = {
  request: {
    'Content-Digest': text('sha-256 or sha-512 of the body (RFC 9530); verified if given'),
    'Content-Disposition': text('The name of the file (RFC 6266)'),
    'Repr-Digest': text('sha-256 or sha-512 of the whole file (RFC 9530); verified if given'),
    'Upload-Complete': text('?1: the body is the end of the file'),
    'Upload-Draft-Interop-Version': text('The interop version of the draft: 3 to 10'),
    'Upload-Incomplete': text('Interop version 3: the negation of Upload-Complete'),
    'Upload-Length': bytes('The length of the file'),
    'Upload-Metadata': text('As in tus; for clients that have both dialects'),
    'Upload-Offset': bytes('Where the body belongs in the file: the offset of the upload'),
    'Want-Repr-Digest': text('The preferred algorithm for Repr-Digest in the answer'),
  },
  response: {
    'Accept-Patch': text('The media type of an append'),
    Location: text('The URL of the upload'),
    'Repr-Digest': text('The digest of the whole file, if the creation asked for it or stated one'),
    'Upload-Complete': text('?1: the file is complete'),
    'Upload-Defer-Length': text('1: the length of the file is not known yet'),
    'Upload-Draft-Interop-Version': text('The interop version that the client named'),
    'Upload-Incomplete': text('Interop version 3: the negation of Upload-Complete'),
    'Upload-Length': bytes('The length of the file'),
    'Upload-Limit': text('The size limits, and the seconds until the upload expires'),
    'Upload-Offset': bytes('What is durable on the server, without a gap from the start'),
    'Upload-Resume-Token': text('A bearer token for this upload only, valid until the upload ends'),
  },
} as const satisfies HeaderTable

/** Uploads in numbered chunks, and whole files in one request. */
export const restHeaders = {
  request: {
    'Content-Digest': text('sha-256, sha-512, sha or md5 of the body (RFC 9530); verified if given'),
    'Content-MD5': text('MD5 of the body in Base64; verified if given'),
    'X-Chunk-Index': { type: 'integer', description: 'The index of the chunk; the first chunk is 0' },
    'X-Upload-Id': text('The upload; a JSON body may name it as upload_id instead'),
  },
  response: {
    ETag: text('The ETag of what the store has, a chunk or an object'),
    Location: text('The URL of the upload'),
    'Upload-Resume-Token': text('A bearer token for this upload only, valid until the upload ends'),
  },
} as const satisfies HeaderTable

/** The bytes of files (RFC 9110, RFC 6266, RFC 9530). */
export const fileHeaders = {
  request: {
    'If-Match': text('Answers 412 unless the file has one of these ETags'),
    'If-Modified-Since': text('Answers 304 if the file is not newer'),
    'If-None-Match': text('Answers 304 if the file has one of these ETags'),
    'If-Range': text(
      'The ETag or the date of the file that the range belongs to; the whole file is answered if it is another one',
    ),
    'If-Unmodified-Since': text('Answers 412 if the file is newer'),
    Range: text('One range of bytes; several are answered with the whole file'),
  },
  response: {
    'Accept-Ranges': text('bytes'),
    'Content-Disposition': text('Whether to show or to save the file, and its name'),
    'Content-Range': text('The range of a 206, or the length of the file of a 416'),
    ETag: text('The same for the same bytes, for ever'),
    'Last-Modified': text('When the file was complete'),
    'Repr-Digest': text('sha-256 of the whole file, if it is known'),
  },
} as const satisfies HeaderTable

/** The rest of the JSON API. */
export const apiHeaders = {
  request: {
    'If-Match': text('The ETag of the version to replace'),
    'Last-Event-ID': text('The last event that the client received'),
  },
  response: { ETag: text('The version of the policies') },
} as const satisfies HeaderTable

const tables: HeaderTable[] = [commonHeaders, tusHeaders, rufhHeaders, restHeaders, fileHeaders, apiHeaders]

/** The names of all fields that a client may send, or read. */
export function headerNames(direction: keyof HeaderTable): string[] {
  return [...new Set(tables.flatMap((table) => Object.keys(table[direction])))].toSorted()
}
