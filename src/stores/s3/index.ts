import { defineStore } from '../kind.ts'
import { s3Options } from './options.ts'
import { s3Store } from './store.ts'

/** `STORE=s3`: a bucket of an S3-compatible server. */
export const s3 = defineStore({
  title: 'Files in a bucket (STORE=s3)',
  settings: s3Options.shape,
  required(given) {
    // Without both, the AWS SDK looks for credentials itself; one alone is a mistake.
    const hasCredentials = given['S3_ACCESS_KEY_ID'] || given['S3_SECRET_ACCESS_KEY']
    return ['S3_BUCKET', ...(hasCredentials ? ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] : [])]
  },
  minPart: { size: 5 * 1024 ** 2, of: 'S3' },
  open: s3Store,
  describe: ({ S3_BUCKET }) => `bucket ${S3_BUCKET}`,
  async *probe(settings, longestMs) {
    // A server that starts does not load it.
    const { probeBucket } = await import('./doctor.ts')
    yield* probeBucket(settings, longestMs)
  },
})
