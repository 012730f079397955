import { z } from 'zod'

export const s3Options = z.object({
  S3_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('The S3 server; not needed for AWS'),
  S3_REGION: z.string().default('us-east-1').describe('The region that requests are signed for; R2 takes auto'),
  S3_BUCKET: z.string().optional().describe('The bucket; it must exist'),
  S3_ACCESS_KEY_ID: z
    .string()
    .optional()
    .describe('The access key; without it the places that the AWS SDK knows are asked'),
  S3_SECRET_ACCESS_KEY: z.string().optional().describe('The secret of the access key'),
  S3_FORCE_PATH_STYLE: z
    .stringbool()
    .prefault('true')
    .describe('Whether the bucket stands in the path, not in the host name'),
  S3_PREFIX: z
    .string()
    .regex(/^([^/].*\/)?$/, 'must be empty or end with a slash, and not begin with one')
    .refine((prefix) => Buffer.byteLength(prefix) <= 256, 'must have at most 256 bytes: S3 keys have an end')
    .default('')
    .describe('Stands before every object key, such as uploads/'),
  S3_CONTENT_MD5: z
    .stringbool()
    .prefault('false')
    .describe(
      'Whether the store is told the MD5 sum of all it is sent, so that it refuses what was changed on the way: for a store that is reached without TLS. It triples the CPU of a large file',
    ),
  S3_PUBLIC_URL: z
    .url()
    .optional()
    .describe('Where browsers reach the bucket; without it no answer says where a file can be had'),
})

export type S3Options = z.output<typeof s3Options>
