import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { onTestFinished } from 'vitest'
import { type LandfallOptions, landfall } from '../../src/embed/fastify.ts'
import { memoryStore } from '../support/memory-store.ts'
import { freshDatabase } from '../support/postgres.ts'

/** A user of the app in these tests, as its login knows them. */
export interface Member {
  id: string
  role: string
  plan: 'free' | 'pro'
}

/** The login of the app: `x-login: ann:pro`. */
export function logIn({ headers }: Pick<FastifyRequest, 'headers'>): Member | null {
  const [id, plan] = String(headers['x-login'] ?? '').split(':')
  return id ? { id, role: 'creator', plan: plan === 'pro' ? 'pro' : 'free' } : null
}

export const ann = { 'x-login': 'ann:pro' }
export const tus = { 'tus-resumable': '1.0.0' }
export const secret = 'a secret of an app that is long enough'

/** A database that is dropped with the test: empty, or with the tables in the schema `public`. */
export async function databaseFor(options: { isMigrated?: boolean } = {}): Promise<string> {
  const { url, dispose } = await freshDatabase(options)
  onTestFinished(dispose)
  return url
}

/** An app with uploads below `/uploads`, closed with the test. Tests replace what they are about. */
export async function appWith(
  options: Partial<LandfallOptions<Member>> = {},
  app: FastifyInstance = fastify(),
): Promise<FastifyInstance> {
  // Migrated before, which takes less time.
  const database = options.database ?? (await databaseFor({ isMigrated: true }))
  onTestFinished(() => app.close())
  await app.register(landfall, {
    prefix: '/uploads',
    store: memoryStore(),
    schema: 'public',
    secret,
    authenticate: logIn,
    ...options,
    database,
  })
  return app
}

/** Creates an upload of `size` bytes with tus. */
export function create(app: FastifyInstance, size: number, { headers = {}, prefix = '/uploads' } = {}) {
  return app.inject({
    method: 'POST',
    url: `${prefix}/files`,
    headers: { ...ann, ...tus, 'upload-length': String(size), ...headers },
  })
}

/** Sends `payload` from the beginning of the upload at `url`. */
export function send(
  app: FastifyInstance,
  url: string,
  payload: string | Buffer,
  headers: Record<string, string> = {},
) {
  return app.inject({
    method: 'PATCH',
    url,
    headers: { ...ann, ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream', ...headers },
    payload,
  })
}
