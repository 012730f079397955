import { DetailedError, Upload, type UploadOptions } from 'tus-js-client'
import { type Failure, noAnswer, RequestError, readFailure } from './request-error.ts'
import type { SendableFile } from './transfer-view.ts'

// tus-js-client sends, and nothing more: left to itself it answers a HEAD that fails, with 401 or 503 too, by forgetting
// the upload and starting at zero. So every try gets either the endpoint or the URL of an upload, never both; trying
// again and remembering are the transfer's business, where they can be shown.

export interface SendAttempt {
  file: SendableFile
  endpoint: string
  /** The upload to go on with; `null` makes a new one. */
  url: string | null
  /** The longest body of one request. */
  bodySize: number
  /** Told to the server with the file: files that were given together have the same. */
  batch?: string | null
  /** Asked for each request; `null` (its owner has signed out) sends none. */
  token: () => string | null
  /** Passed on to tus-js-client. */
  tus?: Partial<UploadOptions> | undefined
}

/** What is told while a try lasts: at most one of `done` and `failed`, as the last thing. */
export interface SendListener {
  /** The server has the upload, under this URL. Also told when the try was stopped while the server made it. */
  created(url: string): void
  /** Bytes on the server or on their way to it, counted from the start of the file. */
  progress(sent: number): void
  /** The server has confirmed so many bytes of the file. */
  confirmed(offset: number): void
  done(): void
  failed(failure: Failure): void
}

/** Sends what the server has not got yet, once. Returns the way to stop it; nothing but `known` is told after that. */
export function startSending(
  { file, endpoint, url, bodySize, batch, token, tus }: SendAttempt,
  listener: SendListener,
): () => void {
  let isStopped = false
  /** The request that makes the upload is on its way. */
  let isMaking = false
  const tell = (news: () => void) => {
    if (!isStopped) news()
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
      // Stopped before the file was open: tus-js-client begins all the same.
      if (isStopped) throw new Error('stopped')
      const bearer = token()
      if (bearer === null) throw new SignedOut()
      request.setHeader('Authorization', `Bearer ${bearer}`)
      isMaking = request.getMethod() === 'POST' && upload.url === null && !tus?.uploadDataDuringCreation
    },
    onUploadUrlAvailable() {
      isMaking = false
      if (upload.url !== null) listener.created(upload.url)
    },
    onProgress: (sent) => tell(() => listener.progress(sent)),
    onChunkComplete: (_size, accepted) => tell(() => listener.confirmed(accepted)),
    onSuccess: () => tell(() => listener.done()),
    onError: (error) => tell(() => listener.failed(toFailure(error))),
  })
  upload.start()
  return () => {
    isStopped = true
    // Cut off, the request that makes the upload would leave one on the server that nobody knows.
    if (!isMaking) void upload.abort()
  }
}

/** Tells the server to drop the upload at `url`. @throws Refusal when it could not be told */
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

/** There is no token to ask with. */
class SignedOut extends Error {}

function toFailure(error: Error | DetailedError): Failure {
  if (error instanceof SignedOut) return readFailure('POST', 401, '', null)
  if (!(error instanceof DetailedError)) return { ...noAnswer('READ'), code: 'FILE_UNREADABLE', message: error.message }
  const { originalRequest: request, originalResponse: response } = error
  if (!response) return noAnswer(request.getMethod())
  const retryAfter = response.getHeader('Retry-After') ?? null
  return readFailure(request.getMethod(), response.getStatus(), response.getBody() ?? '', retryAfter)
}
