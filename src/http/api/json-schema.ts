import { z } from 'zod'

const error = z.object({
  error: z.object({ code: z.string(), message: z.string(), timestamp: z.iso.datetime() }),
})

/** A schema as Fastify and OpenAPI read it. */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output') {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io,
    override: ({ jsonSchema }) => io === 'input' && joinNull(jsonSchema),
  })
  return rest
}

/**
 * `anyOf` a type and null becomes one schema with two types. Fastify makes every value fit the first type it is compared
 * with, and null would become 0 or an empty text.
 */
function joinNull(schema: z.core.JSONSchema.BaseSchema): void {
  const [one, none, ...more] = schema.anyOf ?? []
  if (typeof one?.type !== 'string' || none?.type !== 'null' || more.length > 0) return
  delete schema.anyOf
  Object.assign(schema, { ...one, ...schema, type: [one.type, 'null'] })
}

/** The answers that every route may give beside its own. */
export const errorAnswers = {
  401: jsonSchema(error, 'output'),
  403: jsonSchema(error, 'output'),
  404: jsonSchema(error, 'output'),
  '5xx': jsonSchema(error, 'output'),
}
