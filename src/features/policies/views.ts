import type { z } from 'zod'
import { apiHeaders } from '../../contract/headers.ts'
import {
  byPolicyVersion,
  changedPolicies,
  changePolicies,
  checkedPolicies,
  checkPolicies,
  comparedPolicies,
  comparePolicies,
  mergePolicies,
  type PolicyVersion as PolicyVersionView,
  policyVersion,
  policyVersions,
  policyVersionsQuery,
  restorePolicies,
} from '../../contract/policies.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { writePolicyDocument } from '../../policies/schema.ts'
import type { PolicyVersion } from '../../policies/versions.ts'

const tags = ['Policies']
const ifMatch = {
  type: 'object',
  properties: { 'if-match': { type: 'string', description: 'The ETag of the version to replace' } },
  required: ['if-match'],
}

const withEtag = (schema: z.ZodType) => ({ ...jsonSchema(schema, 'output'), headers: apiHeaders.response })

/** The schemas of the policies' routes, as Fastify and OpenAPI read them. */
export const schemas = {
  current: {
    tags,
    summary: 'The active policies',
    response: { 200: withEtag(policyVersion) },
  },
  change: {
    tags,
    summary: 'Replace the policies',
    headers: ifMatch,
    body: jsonSchema(changePolicies, 'input'),
    response: { 200: withEtag(changedPolicies) },
  },
  merge: {
    tags,
    summary: 'Change some fields of the policies',
    headers: ifMatch,
    body: jsonSchema(mergePolicies, 'input'),
    response: { 200: withEtag(changedPolicies) },
  },
  check: {
    tags,
    summary: 'Check policies without activating them: differences and problems',
    body: jsonSchema(checkPolicies, 'input'),
    response: { 200: jsonSchema(checkedPolicies, 'output') },
  },
  compare: {
    tags,
    summary: 'The differences between two versions of the policies',
    querystring: jsonSchema(comparePolicies, 'input'),
    response: { 200: jsonSchema(comparedPolicies, 'output') },
  },
  list: {
    tags,
    summary: 'All versions of the policies, newest first',
    querystring: jsonSchema(policyVersionsQuery, 'input'),
    response: { 200: jsonSchema(policyVersions, 'output') },
  },
  one: {
    tags,
    summary: 'One version of the policies',
    params: jsonSchema(byPolicyVersion, 'input'),
    response: { 200: withEtag(policyVersion) },
  },
  restore: {
    tags,
    summary: 'Restore an older version as a new one',
    params: jsonSchema(byPolicyVersion, 'input'),
    headers: ifMatch,
    body: jsonSchema(restorePolicies, 'input'),
    response: { 200: withEtag(changedPolicies) },
  },
}

/** A version as the API returns it. */
export function versionView({ version, document, author, note, createdAt }: PolicyVersion): PolicyVersionView {
  return { version, author, note, createdAt: createdAt.toISOString(), policies: writePolicyDocument(document) }
}
