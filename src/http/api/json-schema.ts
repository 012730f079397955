import { z } from 'zod'

/** Converts a zod schema to JSON Schema for Fastify and OpenAPI. */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io,
    override: ({ jsonSchema }) => (io === 'input' ? mergeNull(jsonSchema) : omitPattern(jsonSchema)),
  })
  return rest
}

/**
 * Turns `anyOf` of a type and null into one schema with two types. With `anyOf`, Fastify coerces a value to the first type, so null would
 * become 0 or an empty string.
 */
function mergeNull(schema: z.core.JSONSchema.BaseSchema): void {
  const [one, none, ...more] = schema.anyOf ?? []
  if (typeof one?.type !== 'string' || none?.type !== 'null' || more.length > 0) return
  delete schema.anyOf
  Object.assign(schema, { ...one, ...schema, type: [one.type, 'null'] })
}

/** The pattern of a time has 300 characters and says no more than its format, in each of some hundred answers. */
function omitPattern(schema: z.core.JSONSchema.BaseSchema): void {
  if (schema.format !== undefined) delete schema.pattern
}
