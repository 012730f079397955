/*
 * Every route of the server, with a request and its kind. The owner matrix sends every row as every kind of caller; a route without a row
 * fails it.
 */
import { existsSync, globSync } from 'node:fs'
import type { Action } from '../../src/core/access/actions.ts'

/**
 * What a route does, which decides who may use it: an action, or what the table of actions does not have. `admin`: lists and creations by
 * an admin, of a tenant or of all; `operate`: what an admin asks of one upload, and its owner on a route of its own; `revoke`: of one key; `webhook`: of one endpoint;
 * `server`: routes about all tenants. `nothing`: refuses every caller.
 */
export type Kind = Action | 'me' | 'admin' | 'operate' | 'revoke' | 'webhook' | 'server' | 'nothing'

export interface Row {
  /** `METHOD url` as registered, with the protocol where two share a path. */
  route: string
  kind: Kind
  /** The status for callers with permission. */
  ok: number
  /** The request about upload `id`, or about the key or the webhook `otherId` of its owner. */
  request: (id: string, otherId: string) => { url: string; headers?: Record<string, string>; payload?: string | object }
}

const tus = { 'tus-resumable': '1.0.0' }
const tusChunk = { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
const rufh = { 'upload-draft-interop-version': '8' }
const rufhLast = {
  ...rufh,
  'upload-offset': '0',
  'upload-complete': '?1',
  'content-type': 'application/partial-upload',
}
const rufhNew = { ...rufh, 'upload-complete': '?0', 'upload-length': '5' }
const chunk = { 'x-chunk-index': '0', 'content-type': 'application/octet-stream' }
const override = (method: string) => ({ 'x-http-method-override': method })
const staleEtag = { 'if-match': '"999"' }
const creation = { file_name: 'a.txt', total_size: 5 }
const form = {
  headers: { 'content-type': 'multipart/form-data; boundary=x' },
  payload: '--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n',
}

const jsonApi: Row[] = [
  { route: 'GET /v1/me', kind: 'me', ok: 200, request: () => ({ url: '/v1/me' }) },
  { route: 'GET /v1/usage', kind: 'me', ok: 200, request: () => ({ url: '/v1/usage' }) },
  { route: 'POST /v1/explain', kind: 'me', ok: 200, request: () => ({ url: '/v1/explain', payload: {} }) },
  { route: 'GET /v1/uploads', kind: 'list', ok: 200, request: () => ({ url: '/v1/uploads' }) },
  { route: 'GET /v1/uploads/:id', kind: 'read', ok: 200, request: (id) => ({ url: `/v1/uploads/${id}` }) },
  { route: 'GET /v1/uploads/:id/parts', kind: 'read', ok: 200, request: (id) => ({ url: `/v1/uploads/${id}/parts` }) },
  {
    route: 'PUT /v1/uploads/:id/fingerprint',
    kind: 'append',
    ok: 204,
    request: (id) => ({ url: `/v1/uploads/${id}/fingerprint`, payload: { fingerprint: 'file-1' } }),
  },
  { route: 'GET /v1/uploads/:id/steps', kind: 'read', ok: 200, request: (id) => ({ url: `/v1/uploads/${id}/steps` }) },
  {
    route: 'POST /v1/uploads/:id/steps/:name/retry',
    kind: 'retry',
    // The upload has no steps.
    ok: 404,
    request: (id) => ({ url: `/v1/uploads/${id}/steps/scan/retry` }),
  },
  { route: 'DELETE /v1/uploads/:id', kind: 'cancel', ok: 204, request: (id) => ({ url: `/v1/uploads/${id}` }) },
]

// Messages to this host are refused without a look at the network.
export const endpoint = { url: 'https://localhost/' }
const delivery = (hook: string) => `/v1/webhooks/${hook}/deliveries`
const range = { since: '2026-01-01T00:00:00Z' }

const webhooks: Row[] = [
  { route: 'GET /v1/webhooks', kind: 'subscribe', ok: 200, request: () => ({ url: '/v1/webhooks' }) },
  {
    route: 'POST /v1/webhooks',
    kind: 'subscribe',
    ok: 201,
    request: () => ({ url: '/v1/webhooks', payload: endpoint }),
  },
  ...(
    [
      ['GET', '', 200, undefined],
      ['PATCH', '', 200, { state: 'paused' }],
      ['DELETE', '', 204, undefined],
      ['POST', '/secret', 200, undefined],
      ['POST', '/test', 200, undefined],
      ['POST', '/replay', 202, range],
      ['GET', '/deliveries', 200, undefined],
    ] as const
  ).map(
    ([method, path, ok, payload]): Row => ({
      route: `${method} /v1/webhooks/:id${path}`,
      kind: 'webhook',
      ok,
      request: (_id, hook) => ({ url: `/v1/webhooks/${hook}${path}`, ...(payload && { payload }) }),
    }),
  ),
  // There is no such delivery.
  {
    route: 'POST /v1/webhooks/:id/deliveries/:deliveryId/retry',
    kind: 'webhook',
    ok: 404,
    request: (_id, hook) => ({ url: `${delivery(hook)}/1/retry` }),
  },
]

const files: Row[] = [
  ...(['GET', 'HEAD'] as const).map(
    (method): Row => ({
      route: `${method} /v1/files/:id/content`,
      kind: 'download',
      ok: 200,
      request: (id) => ({ url: `/v1/files/${id}/content` }),
    }),
  ),
  {
    route: 'POST /v1/files/:id/links',
    kind: 'link',
    ok: 201,
    request: (id) => ({ url: `/v1/files/${id}/links`, payload: {} }),
  },
  {
    route: 'DELETE /v1/files/:id/links',
    kind: 'link',
    ok: 204,
    request: (id) => ({ url: `/v1/files/${id}/links` }),
  },
]

const admin: Row[] = [
  { route: 'GET /v1/admin/keys', kind: 'admin', ok: 200, request: () => ({ url: '/v1/admin/keys' }) },
  {
    route: 'POST /v1/admin/keys',
    kind: 'admin',
    ok: 201,
    request: () => ({ url: '/v1/admin/keys', payload: { name: 'x', role: 'member', scopes: ['read'] } }),
  },
  {
    route: 'DELETE /v1/admin/keys/:id',
    kind: 'revoke',
    ok: 204,
    request: (_id, keyId) => ({ url: `/v1/admin/keys/${keyId}` }),
  },
  ...['/usage', '/audit', '/summary', '/uploads', '/steps'].map(
    (path): Row => ({
      route: `GET /v1/admin${path}`,
      kind: 'admin',
      ok: 200,
      request: () => ({ url: `/v1/admin${path}` }),
    }),
  ),
  ...['/policies', '/policies/versions', '/policies/versions/:version', '/policies/differences', '/activity'].map(
    (path): Row => ({
      route: `GET /v1/admin${path}`,
      kind: 'server',
      ok: 200,
      request: () => ({
        url: `/v1/admin${path.replace(':version', '1').replace('differences', 'differences?from=1')}`,
      }),
    }),
  ),
  {
    route: 'GET /v1/admin/uploads/:id',
    kind: 'operate',
    ok: 200,
    request: (id) => ({ url: `/v1/admin/uploads/${id}` }),
  },
  // An upload with missing bytes cannot be completed.
  ...(
    [
      ['cancel', 'operate', 200],
      ['finish', 'finish', 400],
      ['expire', 'expire', 200],
    ] as const
  ).map(
    ([action, kind, ok]): Row => ({
      route: `POST /v1/admin/uploads/:id/${action}`,
      kind,
      ok,
      request: (id) => ({ url: `/v1/admin/uploads/${id}/${action}` }),
    }),
  ),
  {
    route: 'POST /v1/admin/policies/check',
    kind: 'server',
    ok: 200,
    request: () => ({ url: '/v1/admin/policies/check', payload: { policies: { roles: {} } } }),
  },
  {
    route: 'POST /v1/admin/explain',
    kind: 'admin',
    ok: 200,
    request: () => ({ url: '/v1/admin/explain', payload: { user: 'ann', role: 'creator' } }),
  },
  // With the ETag of a version that does not exist, so that nothing changes.
  {
    route: 'PUT /v1/admin/policies',
    kind: 'server',
    ok: 412,
    request: () => ({ url: '/v1/admin/policies', headers: staleEtag, payload: { policies: { roles: {} } } }),
  },
  {
    route: 'PATCH /v1/admin/policies',
    kind: 'server',
    ok: 412,
    request: () => ({ url: '/v1/admin/policies', headers: staleEtag, payload: { policies: { roles: {} } } }),
  },
  {
    route: 'POST /v1/admin/policies/versions/:version/restore',
    kind: 'server',
    ok: 412,
    request: () => ({ url: '/v1/admin/policies/versions/1/restore', headers: staleEtag, payload: {} }),
  },
]

const rest: Row[] = [
  {
    route: 'POST /v1/uploads/init',
    kind: 'create',
    ok: 201,
    request: () => ({ url: '/v1/uploads/init', payload: creation }),
  },
  ...(['PUT', 'POST'] as const).map(
    (method): Row => ({
      route: `${method} /v1/uploads/:id/chunk`,
      kind: 'append',
      ok: 200,
      request: (id) => ({ url: `/v1/uploads/${id}/chunk`, headers: chunk, payload: 'hello' }),
    }),
  ),
  {
    route: 'POST /v1/uploads/:id/complete',
    kind: 'complete',
    ok: 200,
    request: (id) => ({ url: `/v1/uploads/${id}/complete` }),
  },
  {
    route: 'GET /v1/uploads/:id/status',
    kind: 'read',
    ok: 200,
    request: (id) => ({ url: `/v1/uploads/${id}/status` }),
  },
  ...(['POST', 'DELETE'] as const).map(
    (method): Row => ({
      route: `${method} /v1/uploads/:id/cancel`,
      kind: 'cancel',
      ok: 200,
      request: (id) => ({ url: `/v1/uploads/${id}/cancel` }),
    }),
  ),
  {
    route: 'PUT /v1/files/:name',
    kind: 'create',
    ok: 201,
    request: () => ({ url: '/v1/files/a.txt', headers: { 'content-type': 'text/plain' }, payload: 'hello' }),
  },
  { route: 'POST /v1/files', kind: 'create', ok: 201, request: () => ({ url: '/v1/files', ...form }) },
]

const olderRest: Row[] = [
  {
    route: 'POST /api/upload/init',
    kind: 'create',
    ok: 201,
    request: () => ({ url: '/api/upload/init', payload: creation }),
  },
  ...(['PUT', 'POST'] as const).map(
    (method): Row => ({
      route: `${method} /api/upload/chunk`,
      kind: 'append',
      ok: 200,
      request: (id) => ({ url: '/api/upload/chunk', headers: { ...chunk, 'x-upload-id': id }, payload: 'hello' }),
    }),
  ),
  {
    route: 'POST /api/upload/complete',
    kind: 'complete',
    ok: 200,
    request: (id) => ({ url: '/api/upload/complete', payload: { upload_id: id } }),
  },
  {
    route: 'GET /api/upload/:id/status',
    kind: 'read',
    ok: 200,
    request: (id) => ({ url: `/api/upload/${id}/status` }),
  },
  ...(['POST', 'DELETE'] as const).map(
    (method): Row => ({
      route: `${method} /api/upload/cancel`,
      kind: 'cancel',
      ok: 200,
      request: (id) => ({ url: '/api/upload/cancel', headers: { 'x-upload-id': id } }),
    }),
  ),
]

const inRufh: Row[] = [
  ...(['POST', 'PUT'] as const).flatMap((method) =>
    ['/files', '/files/'].map(
      (url): Row => ({
        route: `${method} ${url} (rufh)`,
        kind: 'create',
        ok: 201,
        request: () => ({ url, headers: rufhNew }),
      }),
    ),
  ),
  {
    route: 'PATCH /files/:id (rufh)',
    kind: 'append',
    ok: 201,
    request: (id) => ({ url: `/files/${id}`, headers: rufhLast, payload: 'hello' }),
  },
  { route: 'HEAD /files/:id (rufh)', kind: 'read', ok: 204, request: (id) => ({ url: `/files/${id}`, headers: rufh }) },
  {
    route: 'GET /files/:id (rufh)',
    kind: 'read',
    ok: 204,
    // GET exists since draft 10.
    request: (id) => ({
      url: `/files/${id}`,
      headers: { 'upload-draft-interop-version': '10', 'upload-complete': '?0' },
    }),
  },
  {
    route: 'DELETE /files/:id (rufh)',
    kind: 'cancel',
    ok: 204,
    request: (id) => ({ url: `/files/${id}`, headers: rufh }),
  },
  {
    route: 'POST /files/:id (rufh)',
    kind: 'append',
    ok: 201,
    request: (id) => ({ url: `/files/${id}`, headers: { ...rufhLast, ...override('PATCH') }, payload: 'hello' }),
  },
  {
    route: 'POST /files/:id (rufh)',
    kind: 'cancel',
    ok: 204,
    request: (id) => ({ url: `/files/${id}`, headers: { ...rufh, ...override('DELETE') } }),
  },
  {
    route: 'PUT /files/:id (rufh)',
    kind: 'nothing',
    ok: 405,
    request: (id) => ({ url: `/files/${id}`, headers: rufh }),
  },
]

const inTus: Row[] = [
  {
    route: 'POST /files',
    kind: 'create',
    ok: 201,
    request: () => ({ url: '/files', headers: { ...tus, 'upload-length': '5' } }),
  },
  {
    route: 'POST /files',
    kind: 'create',
    ok: 201,
    request: () => ({
      url: '/files',
      headers: { ...tus, 'upload-length': '5', 'content-type': 'application/offset+octet-stream' },
      payload: 'hello',
    }),
  },
  { route: 'HEAD /files/:id', kind: 'read', ok: 200, request: (id) => ({ url: `/files/${id}`, headers: tus }) },
  {
    route: 'PATCH /files/:id',
    kind: 'append',
    ok: 204,
    request: (id) => ({ url: `/files/${id}`, headers: tusChunk, payload: 'hello' }),
  },
  { route: 'DELETE /files/:id', kind: 'cancel', ok: 204, request: (id) => ({ url: `/files/${id}`, headers: tus }) },
  {
    route: 'POST /files/:id',
    kind: 'append',
    ok: 204,
    request: (id) => ({ url: `/files/${id}`, headers: { ...tusChunk, ...override('PATCH') }, payload: 'hello' }),
  },
  {
    route: 'POST /files/:id',
    kind: 'cancel',
    ok: 204,
    request: (id) => ({ url: `/files/${id}`, headers: { ...tus, ...override('DELETE') } }),
  },
  ...['HEAD', 'GET', 'PUT', 'PATCH', 'DELETE'].map(
    (method): Row => ({
      route: `${method} /files`,
      kind: 'nothing',
      ok: 0,
      request: () => ({ url: '/files', headers: tus }),
    }),
  ),
  ...['GET', 'PUT'].map(
    (method): Row => ({
      route: `${method} /files/:id`,
      kind: 'nothing',
      ok: 0,
      request: (id) => ({ url: `/files/${id}`, headers: tus }),
    }),
  ),
  ...['HEAD', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE'].map(
    (method): Row => ({
      route: `${method} /files/:id/*`,
      kind: 'nothing',
      ok: 0,
      request: (id) => ({ url: `/files/${id}/more`, headers: tus }),
    }),
  ),
]

export const rows: Row[] = [...jsonApi, ...webhooks, ...files, ...admin, ...rest, ...olderRest, ...inRufh, ...inTus]

/** Routes whose response does not end: test/features/live-events/events.test.ts tests them with every kind of caller. */
export const endless = ['GET /v1/events']

/** Routes that need no token, because they reveal nothing about uploads. */
export function isPublic(route: string): boolean {
  const [method = '', url = ''] = route.split(' ')
  // Browsers send a preflight without a token, and clients discover protocols without one.
  if (method === 'OPTIONS') return true
  if (['/health', '/livez', '/readyz'].includes(url) || /^\/docs(\/|$)/.test(url)) return true
  // Accepts one-time codes, in development mode only: test/http/identity/sign-in.test.ts.
  if (route === 'POST /v1/dev/sign-in') return true
  // The token is in the path: test/features/downloads/links.test.ts.
  if (['GET /d/:token/:name', 'HEAD /d/:token/:name'].includes(route)) return true
  // Names no user, and needs its own token: test/telemetry/metrics.test.ts.
  if (route === 'GET /metrics') return true
  const files = existsSync('dist/web') ? globSync('dist/web/**').map((path) => path.slice('dist/web'.length)) : []
  return ['GET', 'HEAD'].includes(method) && (['/', '/admin'].includes(url) || files.includes(url))
}
