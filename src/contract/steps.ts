import { z } from 'zod'

const moment = z.iso.datetime()

/** Whether readers may have a file. */
export const availability = z
  .enum(['no', 'checking', 'yes', 'blocked'])
  .describe(
    '`no`: the upload is not complete, or the file is gone; `checking`: a check has not passed it yet; `blocked`: a check refused it, or leaves it to a person',
  )

const step = z.object({
  name: z.string(),
  blocking: z.boolean().describe('Whether readers get the file only when it has passed'),
  state: z.enum(['waiting', 'running', 'done', 'skipped', 'failed', 'dead']),
  outcome: z.enum(['pass', 'hold', 'reject']).nullable().describe('Of a step that is done'),
  reason: z.string().nullable().describe('Why it does not pass, or why the last attempt failed'),
  attempts: z.int(),
  nextAt: moment.nullable().describe('When a waiting step is tried'),
  createdAt: moment,
  endedAt: moment.nullable(),
  result: z
    .record(z.string(), z.unknown())
    .nullable()
    .describe('What it found; of `scan` the result, what was scanned, the scanner and its signatures'),
})

export const uploadSteps = z.object({
  available: availability,
  reason: z.string().nullable().describe('Why it is blocked'),
  steps: z.array(step),
})

/** The path parameters of routes about one step. */
export const byStepName = z.object({ id: z.string().min(1).max(128), name: z.string().min(1).max(64) })

export const stoppedStepsQuery = z.object({
  limit: z.int().min(1).max(200).default(50).describe('Steps per page'),
  before: z.int().min(1).optional().describe('The value of `next` of the previous page'),
  tenant: z.string().max(128).optional().describe('Only files of this tenant; empty: only those without a tenant'),
})

/** Steps that do not go on by themselves. */
export const stoppedSteps = z.object({
  steps: z.array(
    step.extend({
      id: z.int(),
      uploadId: z.string(),
      user: z.string(),
      tenant: z.string().nullable(),
      filename: z.string(),
      content: z.enum(['held', 'live', 'quarantined', 'gone']),
    }),
  ),
  next: z.int().nullable().describe('The value of `before` for the next page; null on the last page'),
})

export type UploadSteps = z.output<typeof uploadSteps>
export type ByStepName = z.output<typeof byStepName>
export type StoppedSteps = z.output<typeof stoppedSteps>
export type StoppedStepsQuery = z.output<typeof stoppedStepsQuery>
