import { DetailedError, Upload, type UploadOptions } from 'tus-js-client'
import { type Failure, noAnswer, RequestError, readFailure } from './request-error.ts'
import type { SendableFile } from './transfer-view.ts'

// tus-js-client only sends. By default it reacts to a failed HEAD, also with 401 or 503, by forgetting the upload and starting at
// zero. So every attempt gets either the endpoint or the URL of an upload, never both; the transfer retries and remembers the URL.

export interface SendAttempt {
  file: SendableFile
  endpoint: string
  /** The upload to resume; `null` creates a new one. */
  url: string | null
  /** Maximum body of one request, in bytes. */
  bodySize: number
  /** Sent as metadata; shared by files that were added together. */
  batch?: string | null
  /** Called for each request; `null` (the owner has signed out) sends no request. */
  token: () => string | null
  /** Passed on to tus-js-client. */
  tus?: Partial<UploadOptions> | undefined
}

/** Callbacks of one attempt. At most one of `done` and `failed` is called, and it is the last call. */
export interface SendListener {
  /** The server has created the upload at `url`. Also called when the attempt was stopped while the server created it. */
  created(url: string): void
  /** Bytes of the file that the browser has sent, from the start of the file. */
  progress(sent: number): void
  /** The server has confirmed `offset` bytes of the file. */
  confirmed(offset: number): void
  done(): void
  failed(failure: Failure): void
}

/** Starts one attempt to send what the server does not have yet. Returns a function that stops it; only `created` may be called after that. */
export function startSending(
  { file, endpoint, url, bodySize, batch, token, tus }: SendAttempt,
  listener: SendListener,
): () => void {
  let isStopped = false
  /** The request that creates the upload is in flight. */
  let isCreating = false
  const unlessStopped = (notify: () => void) => {
    if (!isStopped) notify()
  }
  const upload = new Upload(file as File, {
    ...tus,
    endpoint: url === null ? endpoint : null,
    uploadUrl: url,
    metadata: { ...metadataOf(file), ...(batch && { batch }) },
    chunkSize: Math.min(tus?.chunkSize ?? bodySize, bodySize),
    retryDelays: null,
    storeFingerprintForResuming: false,
    onBeforeRequest(request) {
      // tus-js-client starts even when it was aborted before it had opened the file.
      if (isStopped) throw new Error('stopped')
      const bearer = token()
      if (bearer === null) throw new SignedOut()
      request.setHeader('Authorization', `Bearer ${bearer}`)
      isCreating = request.getMethod() === 'POST' && upload.url === null && !tus?.uploadDataDuringCreation
    },
    onUploadUrlAvailable() {
      isCreating = false
      if (upload.url !== null) listener.created(upload.url)
    },
    onProgress: (sent) => unlessStopped(() => listener.progress(sent)),
    onChunkComplete: (_size, accepted) => unlessStopped(() => listener.confirmed(accepted)),
    onSuccess: () => unlessStopped(() => listener.done()),
    onError: (error) => unlessStopped(() => listener.failed(toFailure(error))),
  })
  upload.start()
  return () => {
    isStopped = true
    // Aborting the creation request could leave an upload on the server whose URL is unknown.
    if (!isCreating) void upload.abort()
  }
}

/** Deletes the upload at `url` on the server. @throws RequestError */
export async function terminate(url: string, { token, tus }: Pick<SendAttempt, 'token' | 'tus'>): Promise<void> {
  const bearer = token()
  if (bearer === null) throw new RequestError(noAnswer('DELETE'))
  try {
    await Upload.terminate(url, { ...tus, headers: { Authorization: `Bearer ${bearer}` }, retryDelays: null })
  } catch (thrown) {
    throw new RequestError(toFailure(thrown as Error))
  }
}

function metadataOf({ name, type, webkitRelativePath }: SendableFile): Record<string, string> {
  return {
    filename: name,
    ...(type && { filetype: type }),
    ...(webkitRelativePath && { relativePath: webkitRelativePath }),
  }
}

/** There is no token to send. */
class SignedOut extends Error {}

function toFailure(error: Error | DetailedError): Failure {
  if (error instanceof SignedOut) return readFailure('POST', 401, '', null)
  if (!(error instanceof DetailedError)) return { ...noAnswer('READ'), code: 'FILE_UNREADABLE', message: error.message }
  const { originalRequest: request, originalResponse: response } = error
  if (!response) return noAnswer(request.getMethod())
  const retryAfter = response.getHeader('Retry-After') ?? null
  return readFailure(request.getMethod(), response.getStatus(), response.getBody() ?? '', retryAfter)
}
