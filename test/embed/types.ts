/* What the types of `landfall/fastify` promise: `npm test` compiles this file, and every expected error must be one. */
import fastify from 'fastify'
import { landfall } from '../../src/embed/fastify.ts'
import { createUploadHandler } from '../../src/embed/index.ts'

const store = { directory: './data' }
const login = () => ({ id: 'ann', role: 'creator', plan: 'pro' as 'free' | 'pro' })

/** Compiled and never called. */
export async function promises(): Promise<void> {
  const app = fastify()
  await app.register(landfall, {
    prefix: '/uploads',
    store,
    authenticate: login,
    authorize: ({ user, actor, action }) => user.plan === 'pro' && actor.id === user.id && action === 'create',
    beforeCreate: async ({ user, creation }) => user.plan === 'pro' || { because: `${creation.filename} is too much` },
    nameObject: ({ user, unique }) => `${user.plan}/${unique}`,
    onFirstBytes: ({ user, bytes }) => user.plan === 'pro' || bytes.length > 10,
    beforeComplete: ({ user, upload }) => user.plan === 'pro' && upload.size !== null,
    onUploadCompleted: async ({ key, size }) => console.log(key.length, size + 1),
  })
  await app.register(landfall, {
    prefix: '/uploads',
    store,
    authenticate: login,
    // @ts-expect-error The login knows no such field.
    authorize: ({ user }) => user.plans === 'pro',
  })
  await app.register(landfall, {
    prefix: '/uploads',
    store,
    // @ts-expect-error A user has a role.
    authenticate: () => ({ id: 'ann' }),
  })
  await app.register(landfall, {
    prefix: '/uploads',
    store,
    // @ts-expect-error Without a login there is no user of the app.
    beforeCreate: ({ user }) => user.id === 'ann',
  })
  // @ts-expect-error There is no prefix.
  await app.register(landfall, { store })
  await app.register(landfall, {
    prefix: '/uploads',
    store,
    // @ts-expect-error There is no such policy.
    policies: { creator: { maxSizes: '5GiB' } },
  })
  await app.register(landfall, {
    prefix: '/uploads',
    store,
    // @ts-expect-error A decision is a boolean or a reason.
    beforeCreate: () => 'yes',
  })
  await app.register(landfall, {
    prefix: '/uploads',
    store,
    database: { options: { host: 'database.example' } },
    connections: 2,
  })
  // @ts-expect-error A database is a URL or a pool.
  await app.register(landfall, { prefix: '/uploads', store, database: 5432 })
  // @ts-expect-error A store is a directory, a bucket or an object store.
  await app.register(landfall, { prefix: '/uploads', store: { path: './data' } })
  await createUploadHandler({ prefix: '/uploads', store, authenticate: login, nameObject: ({ user }) => user.plan })
}
