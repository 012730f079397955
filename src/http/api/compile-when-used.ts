/*
 * Fastify compiles all schemas before the first request, which takes a fifth of a server's start; most of them are not used within an
 * hour. Here each schema is compiled at the first request of its route.
 */
import ajvCompiler from '@fastify/ajv-compiler'
import serializerCompiler from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'

type Validator = ReturnType<FastifySchemaCompiler<unknown>>

/** Makes `app` compile schemas lazily, with Fastify's own compilers. A schema with an error then fails at the first request of its route. */
export function compileWhenUsed(app: FastifyInstance): void {
  // A parameter of 400 digits is parsed as Infinity, and Ajv's strict numbers do not check Infinity against a maximum.
  const customOptions = { strictNumbers: false }
  const compileValidator = ajvCompiler()({}, { customOptions }) as FastifySchemaCompiler<unknown>
  const compileSerializer = serializerCompiler()()

  app.setValidatorCompiler<unknown>((route) => {
    let compiled: Validator | undefined
    const validate: Validator = (data: unknown) => {
      compiled ??= compileValidator(route)
      const result = compiled(data)
      // Fastify reads the errors from the function that it was given.
      validate.errors = compiled.errors ?? null
      return result
    }
    return validate
  })
  app.setSerializerCompiler<unknown>((route) => {
    let compiled: ((data: unknown) => string) | undefined
    return (data) => {
      compiled ??= compileSerializer({ ...route, httpStatus: route.httpStatus ?? '' })
      return compiled(data)
    }
  })
}
