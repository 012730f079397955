import type { FastifyInstance } from 'fastify'
import {
  type ByStepName,
  byStepName,
  type StoppedSteps,
  type StoppedStepsQuery,
  stoppedSteps,
  stoppedStepsQuery,
  type UploadSteps,
  uploadSteps,
} from '../../contract/steps.ts'
import { type ByUploadId, byUploadId } from '../../contract/upload.ts'
import { tenantWithin } from '../../core/access/access.ts'
import type { Engine } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import type { Database } from '../../db/open.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import { findStoppedSteps, findTimeline, retryStep } from './timeline.ts'

const answer = { 200: jsonSchema(uploadSteps, 'output') }
const schemas = {
  steps: {
    tags: ['Checks'],
    summary: 'What followed an upload, and whether readers may have the file',
    params: jsonSchema(byUploadId, 'input'),
    response: answer,
  },
  retry: {
    tags: ['Checks'],
    summary: 'Try a step again',
    description: 'A step that failed, waits for its next attempt, or holds the file. A refused file stays refused.',
    params: jsonSchema(byStepName, 'input'),
    response: answer,
  },
  stopped: {
    tags: ['Admin'],
    summary:
      'Steps that do not go on by themselves, newest first: dead and failed ones, and those that hold or refused a file',
    querystring: jsonSchema(stoppedStepsQuery, 'input'),
    response: { 200: jsonSchema(stoppedSteps, 'output') },
  },
}

export interface StepsPluginOptions {
  database: Database
  engine: Pick<Engine, 'get' | 'countParts'>
  now(): Date
  /** Called when a step became due. */
  wake(): void
}

/** `/uploads/:id/steps`: what followed an upload, for its owner and for administrators. Needs `request.actor`. */
export async function stepsPlugin(
  app: FastifyInstance,
  { database, engine, now, wake }: StepsPluginOptions,
): Promise<void> {
  sendNoStore(app)

  app.get<{ Params: ByUploadId }>(
    '/uploads/:id/steps',
    { schema: schemas.steps, config: { actions: ['read'] } },
    async ({ actor, params }): Promise<UploadSteps> => {
      await engine.get(actor, params.id)
      return findTimeline(database, params.id)
    },
  )

  app.post<{ Params: ByStepName }>(
    '/uploads/:id/steps/:name/retry',
    { schema: schemas.retry, config: { actions: ['retry'], errors: ['NOT_FOUND', 'UPLOAD_CLOSED'] } },
    async ({ actor, params: { id, name } }): Promise<UploadSteps> => {
      await engine.countParts(actor, id, 'retry')
      const retried = await retryStep(database, id, name, now())
      if (retried === 'missing') throw errors.stepNotFound()
      if (retried === 'ended') throw errors.stepNotRepeatable()
      wake()
      return findTimeline(database, id)
    },
  )
}

/** `/steps` for administrators: the steps of all users that need a person. */
export async function adminStepsPlugin(app: FastifyInstance, { database }: { database: Database }): Promise<void> {
  tenantAdminsToo(app)
  sendNoStore(app)
  app.get<{ Querystring: StoppedStepsQuery }>(
    '/steps',
    { schema: schemas.stopped },
    async ({ actor, query }): Promise<StoppedSteps> => {
      const tenant = tenantWithin(actor, query.tenant)
      const find = (limit: number) => findStoppedSteps(database, { ...query, tenant, limit })
      const { items, next } = await readPage(query.limit, find, ({ id }) => id)
      return { steps: items, next }
    },
  )
}
