import { z } from 'zod'

export const s3Options = z.object({
  S3_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('The S3 server; not needed for AWS'),
  S3_REGION: z.string().default('us-east-1').describe('The region that requests are signed for; R2 takes auto'),
  S3_BUCKET: z.string().optional().describe('The bucket; it must exist'),
  S3_ACCESS_KEY_ID: z.string().optional().describe('The access key; without it the AWS SDK looks in its usual places'),
  S3_SECRET_ACCESS_KEY: z.string().optional().describe('The secret of the access key'),
  S3_FORCE_PATH_STYLE: z
    .stringbool()
    .prefault('true')
    .describe('Whether the bucket is in the path of the URL instead of the host name'),
  S3_PREFIX: z
    .string()
    .regex(/^([^/].*\/)?$/, 'must be empty or end with a slash, and not begin with one')
    .refine(
      (prefix) => Buffer.byteLength(prefix) <= 256,
      'must have at most 256 bytes, because S3 limits the length of keys',
    )
    .default('')
    .describe('A prefix of every object key, such as uploads/'),
  S3_CONTENT_MD5: z
    .stringbool()
    .prefault('false')
    .describe(
      'Whether every body is sent with its MD5 sum, so that the store refuses bytes that were changed in transit: for a store without TLS. It triples the CPU time of a large file',
    ),
  S3_CRC32: z
    .stringbool()
    .prefault('false')
    .describe(
      'Whether the CRC-32 of every part and file is computed, which clients can compare with a file on their disk. It adds about a third to the CPU time of a large file',
    ),
  S3_PUBLIC_URL: z
    .url()
    .optional()
    .describe('The URL at which browsers reach the bucket; without it no response has the URL of a file'),
})

export type S3Options = z.output<typeof s3Options>
