import { commonHeaders } from '../../contract/headers.ts'
import type { Answer, Paths } from './merge-dialects.ts'

type Name = keyof typeof commonHeaders.response

/** The fields that answers have by their status, in every dialect. Ranges of statuses may have all of their fields. */
const fields: Record<Name, RegExp> = {
  'X-Request-Id': /./,
  'Retry-After': /^(423|429|50[23]|[45]XX)$/,
  'WWW-Authenticate': /^4(01|XX)$/,
  Allow: /^4(05|XX)$/,
}

/** Adds to every answer of the document the header fields that all routes share. */
export function addCommonHeaders(paths: Paths): Paths {
  for (const operation of Object.values(paths).flatMap((operations) => Object.values(operations)))
    for (const [status, answer] of Object.entries(operation.responses))
      answer.headers = { ...answer.headers, ...commonHeadersOf(status) }
  return paths
}

function commonHeadersOf(status: string): NonNullable<Answer['headers']> {
  const names = (Object.keys(fields) as Name[]).filter((name) => fields[name].test(status))
  return Object.fromEntries(
    names.map((name) => {
      const { description, ...schema } = commonHeaders.response[name]
      return [name, { description, schema }]
    }),
  )
}
