import { z } from 'zod'

/** The body of an error in every dialect; RFC 9457 problems have it as a member. */
export const errorAnswer = z
  .object({
    error: z.object({
      code: z.string().describe('The code, for programs'),
      message: z.string().describe('One sentence for the person who uploads'),
      timestamp: z.iso.datetime(),
    }),
  })
  .describe('An error')

export type ErrorAnswer = z.output<typeof errorAnswer>
