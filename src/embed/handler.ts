import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { openHttp } from '../app/http.ts'
import { errors } from '../core/errors/errors.ts'
import { errorBody } from '../http/errors.ts'
import { configOf } from './config-of.ts'
import { mountUploads } from './mount-uploads.ts'
import type { AppUser, LandfallOptions } from './options.ts'

/**
 * Uploads as a handler for `node:http`, Express and what else calls handlers like it. Requests elsewhere than below `prefix` go to `next`,
 * or are answered 404 without one.
 */
export interface UploadHandler {
  (request: IncomingMessage, response: ServerResponse, next?: () => void): void
  /** Ends bodies that are being read, which saves what arrived, waits for running requests, and closes everything. */
  close(): Promise<void>
}

/**
 * Opens uploads with `options`; resolves when they are ready. `authenticate` finds the request of the host, with whatever its middleware
 * has added, in `request.raw`. Mount the handler before anything that reads bodies.
 * @throws ConfigError when the options have a problem
 */
export async function createUploadHandler<User extends AppUser | undefined = undefined>(
  options: LandfallOptions<User>,
): Promise<UploadHandler> {
  const { prefix } = options
  const config = await configOf(options)
  const http = openHttp(config)
  await http.register((scope) => mountUploads(scope, options, config), { prefix })
  await http.ready()
  let isChecked = false

  /** Node's own default ends every upload that takes longer than five minutes. */
  function checkTimeout({ socket }: IncomingMessage): void {
    isChecked = true
    const { requestTimeout = 0 } = (socket as { server?: Partial<Server> }).server ?? {}
    if (requestTimeout > 0) http.log.warn({ requestTimeout }, 'requestTimeout ends longer uploads; set it to 0')
  }

  const handle = (request: IncomingMessage, response: ServerResponse, next?: () => void) => {
    // Express cuts the path at which a handler is mounted off `url`.
    const url = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/'
    if (!isBelow(url, prefix)) return next ? next() : answerNotFound(response)
    if (!isChecked) checkTimeout(request)
    request.url = url
    http.routing(request, response)
  }
  return Object.assign(handle, { close: () => http.close() })
}

function isBelow(url: string, prefix: string): boolean {
  return url.startsWith(prefix) && ['', '/', '?'].includes(url.charAt(prefix.length))
}

function answerNotFound(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify(errorBody(errors.notFound())))
}
