/*
 * Fastify compiles all schemas before the first request, which takes a fifth of a server's start; most of them are not used within an
 * hour. Here each schema is compiled at the first request that needs it, and once for all routes that share it, as they share the
 * schemas of errors.
 */
import ajvCompiler from '@fastify/ajv-compiler'
import serializerCompiler from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'

type Validator = ReturnType<FastifySchemaCompiler<unknown>>

// A parameter of 400 digits is parsed as Infinity, and Ajv's strict numbers do not check Infinity against a maximum.
const customOptions = { strictNumbers: false }
const validatorOf = once(ajvCompiler()({}, { customOptions }) as FastifySchemaCompiler<unknown>)
const serializerOf = once(serializerCompiler()())

/** Makes `app` compile schemas lazily, with Fastify's own compilers. A schema with an error then fails at the first request of its route. */
export function compileWhenUsed(app: FastifyInstance): void {
  app.setValidatorCompiler<unknown>((route) => {
    const validate: Validator = (data: unknown) => {
      const compiled = validatorOf(route)
      const result = compiled(data)
      // Fastify reads the errors from the function that it was given.
      validate.errors = compiled.errors ?? null
      return result
    }
    return validate
  })
  app.setSerializerCompiler<unknown>((route) => {
    const compilable = { ...route, httpStatus: route.httpStatus ?? '' }
    return (data) => serializerOf(compilable)(data)
  })
}

/** `compile`, which is called once for each schema; routes with the same schema object share the result. */
function once<Route extends { schema?: unknown }, Compiled>(compile: (route: Route) => Compiled) {
  const known = new WeakMap<object, Compiled>()
  return (route: Route): Compiled => {
    const schema = route.schema as object
    const found = known.get(schema) ?? compile(route)
    known.set(schema, found)
    return found
  }
}
