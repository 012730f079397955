import { noAnswer, RequestError, readFailure } from './request-error.ts'

/** Everything about a request but its method and path. */
export interface RequestOptions {
  /** Default: the result of `token`. `null`: no token is sent. */
  bearer?: string | null
  content?: object
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** Sends a request and returns the JSON of the response; `null` when it has no content. @throws RequestError */
export type Request = (method: string, path: string, options?: RequestOptions) => Promise<unknown>

/**
 * Creates a function that sends requests to `base` (an absolute URL; the server may be mounted below a path). Paths are relative to it.
 * @param token called for each request, so a new token applies at once
 */
export function createRequest(base: string, token: () => string | null): Request {
  const folder = asFolder(base)
  return async (method, path, { bearer = token(), content, headers: more, signal } = {}) => {
    // A pasted token may contain characters that are not allowed in a header; fetch would report them as a network error.
    if (bearer !== null && /[^\x21-\x7e]/.test(bearer)) throw new RequestError(readFailure(method, 401, '', null))
    const headers: Record<string, string> = { ...more }
    if (bearer !== null) headers['authorization'] = `Bearer ${bearer}`
    if (content) headers['content-type'] = 'application/json'
    const body = content && JSON.stringify(content)
    const response = await fetch(new URL(path, folder), {
      method,
      headers,
      ...(body && { body }),
      ...(signal && { signal }),
    }).catch(() => {
      throw new RequestError(noAnswer(method))
    })
    const text = await response.text().catch(() => {
      // A truncated body is not a response. An error status is enough without its body.
      if (response.ok) throw new RequestError(noAnswer(method))
      return ''
    })
    if (!response.ok) {
      throw new RequestError(readFailure(method, response.status, text, response.headers.get('retry-after')))
    }
    try {
      return text === '' ? null : JSON.parse(text)
    } catch {
      // Not this server's response but, for example, the sign-in page of a network.
      throw new RequestError(readFailure(method, response.status, '', null))
    }
  }
}

/** `base` with a trailing slash, so that relative URLs are resolved below it. */
export function asFolder(base: string): string {
  return base.endsWith('/') ? base : `${base}/`
}
