/*
 * Fastify makes functions of all schemas before the first request, which is a fifth of the time in which a server starts; most of
 * them are not called within an hour. Here each is made when its route is first asked.
 */
import ajvCompiler from '@fastify/ajv-compiler'
import serializerCompiler from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'

type Validator = ReturnType<FastifySchemaCompiler<unknown>>

/** Gives `app` Fastify's own compilers, called late. A schema that cannot be compiled is noticed late, too: when its route is asked. */
export function compileWhenUsed(app: FastifyInstance): void {
  // A parameter of 400 digits is read as Infinity, which Ajv's strict numbers hold to no maximum.
  const customOptions = { strictNumbers: false }
  const compileValidator = ajvCompiler()({}, { customOptions }) as FastifySchemaCompiler<unknown>
  const compileSerializer = serializerCompiler()()

  app.setValidatorCompiler<unknown>((route) => {
    let made: Validator | undefined
    const validate: Validator = (data: unknown) => {
      made ??= compileValidator(route)
      const result = made(data)
      // Where Fastify looks for what is wrong.
      validate.errors = made.errors ?? null
      return result
    }
    return validate
  })
  app.setSerializerCompiler<unknown>((route) => {
    let made: ((data: unknown) => string) | undefined
    return (data) => {
      made ??= compileSerializer({ ...route, httpStatus: route.httpStatus ?? '' })
      return made(data)
    }
  })
}
