/* The usual stack: @tus/server with @tus/s3-store on Fastify, with the settings their documentation shows. */
import { S3Store } from '@tus/s3-store'
import { Server } from '@tus/server'
import fastify from 'fastify'
import { serveTus } from './listen.ts'

const env = process.env
const datastore = new S3Store({
  partSize: 8 * 1024 * 1024,
  s3ClientConfig: {
    bucket: env.S3_BUCKET!,
    region: env.S3_REGION ?? 'us-east-1',
    endpoint: env.S3_ENDPOINT!,
    forcePathStyle: true,
    // Many S3-compatible servers reject the SDK's default checksums; their operators turn them off.
    ...(env.S3_PLAIN === 'yes' ? { requestChecksumCalculation: 'WHEN_REQUIRED' as const } : {}),
    credentials: { accessKeyId: env.S3_ACCESS_KEY_ID!, secretAccessKey: env.S3_SECRET_ACCESS_KEY! },
  },
})
await serveTus(fastify({ logger: true }), new Server({ path: '/files', datastore }))
