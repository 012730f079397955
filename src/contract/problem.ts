import { z } from 'zod'
import { errorAnswer } from './error.ts'

/** An error as problem details (RFC 9457), with the member `error` that errors have in every dialect. */
export const problem = errorAnswer
  .extend({
    type: z.string().describe('The URI of the problem type, or about:blank'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('One sentence for the person who uploads'),
    'expected-offset': z.int().optional().describe('Bytes. Where the upload goes on'),
    'provided-offset': z.int().optional().describe('Bytes. The Upload-Offset of the request'),
  })
  .describe('An error')

export type Problem = z.output<typeof problem>
