import { z } from 'zod'

export const me = z.object({
  user: z.string(),
  tenant: z.string().nullable(),
  role: z.string(),
  admin: z.boolean().describe('May see and manage the uploads of all users: `/v1/admin`'),
  policy: z
    .object({
      maxSize: z.int().describe('Bytes'),
      mediaTypes: z.array(z.string()),
      categories: z.array(z.string()),
      timeToLiveMs: z
        .int()
        .nullable()
        .describe('How long an incomplete upload is kept after its last byte; null: without limit'),
    })
    .nullable()
    .describe('What the role may upload; null if it may upload nothing'),
})

export type Me = z.output<typeof me>
