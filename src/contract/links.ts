import { z } from 'zod'

const disposition = z
  .enum(['inline', 'attachment'])
  .describe('inline: browsers show the file, if its type is a safe one; attachment: they save it')

export const contentQuery = z.object({
  disposition: disposition.default('inline'),
  redirect: z
    .enum(['0', '1'])
    .default('0')
    .describe('1: the answer may be a redirection to the bucket (302), where the server is set so'),
})

export const createLink = z.object({
  expiresIn: z
    .int()
    .min(1)
    .default(3600)
    .describe('Seconds. The link lives up to a quarter longer, at most an hour, so that equal requests get equal URLs'),
  disposition: disposition.default('inline'),
})

export const link = z.object({
  url: z.string().describe('A client that has it may read the file without a token'),
  expiresAt: z.iso.datetime(),
})

/** The path parameters of a link. */
export const byToken = z.object({ token: z.string().min(1).max(128), name: z.string().describe('Any name') })

export type ContentQuery = z.output<typeof contentQuery>
export type CreateLink = z.output<typeof createLink>
export type Link = z.output<typeof link>
export type ByToken = z.output<typeof byToken>
