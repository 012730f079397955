import { noAnswer, RequestError, readFailure } from './request-error.ts'

/** What goes with a request beside its address. */
export interface RequestOptions {
  /** Not given: what `token` says. `null`: none. */
  bearer?: string | null
  content?: object
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** Asks the server for JSON; `null` is an answer without content. @throws Refusal */
export type Request = (method: string, path: string, question?: RequestOptions) => Promise<unknown>

/**
 * A way to ask the server at `base` (an absolute URL; the server may be mounted below a path). Paths of questions are relative to it.
 * @param token asked for each request, so a new one counts at once
 */
export function createRequest(base: string, token: () => string | null): Request {
  const folder = asFolder(base)
  return async (method, path, { bearer = token(), content, headers: more, signal } = {}) => {
    // A character that no header can carry came with copying, and the browser would call it a dead network.
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
      // What was cut off is no answer. A refusal says enough by its status.
      if (response.ok) throw new RequestError(noAnswer(method))
      return ''
    })
    if (!response.ok) {
      throw new RequestError(readFailure(method, response.status, text, response.headers.get('retry-after')))
    }
    try {
      return text === '' ? null : JSON.parse(text)
    } catch {
      // Somebody in between, such as the sign-in page of a network.
      throw new RequestError(readFailure(method, response.status, '', null))
    }
  }
}

/** `base` such that relative addresses are resolved below it, and not beside its last name. */
export function asFolder(base: string): string {
  return base.endsWith('/') ? base : `${base}/`
}
