/* `landfall`: uploads in a server of one's own that is not Fastify. */
export type * from '../features/hooks.ts'
export { createUploadHandler, type UploadHandler } from './handler.ts'
export type * from './options.ts'
