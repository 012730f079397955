import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { tenantWithin } from '../../core/access/access.ts'
import { type ExplainRequest, type Explanation, explain } from '../../core/policy/explain.ts'
import { type EffectivePolicy, type Policy, type PolicyDocument, policyFields } from '../../core/policy/policy.ts'
import type { Usage } from '../../core/policy/quota.ts'
import type { Rule } from '../../core/policy/rules/rule.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import { fieldName, writeValue } from './schema.ts'

const explainQuery = z.object({
  filename: z.string().max(1024).default('file'),
  contentType: z.string().max(255).default('application/octet-stream'),
  size: z.int().min(0).nullable().default(null).describe('Bytes; null while unknown'),
  category: z.string().max(64).optional().describe('Told by the media type unless given'),
})
const explainRequestOf = explainQuery.extend({
  user: z.string().min(1).max(128),
  role: z.string().min(1).max(64),
  tenant: z.string().min(1).max(128).nullable().default(null),
})

const source = z.enum(['default', 'role', 'tenant', 'user'])
const explanation = z.object({
  allowed: z.boolean(),
  decidedBy: z.string().nullable().describe('The rule that a client would be told of; null when the file may come'),
  why: z.string(),
  reasons: z
    .array(z.object({ rule: z.string(), code: z.string(), why: z.string(), from: source.nullable() }))
    .describe('Every rule that refuses, in the order in which they are asked'),
  limits: z
    .record(z.string(), z.object({ value: z.unknown(), from: source }))
    .nullable()
    .describe('What holds for the user, and which section of the policies says it; null for a role without policy'),
})

export type ExplanationView = z.output<typeof explanation>

const tags = ['Policies']
const answers = { response: { 200: jsonSchema(explanation, 'output'), ...errorAnswers } }

export interface ExplainOptions {
  policies(): PolicyDocument
  rules: Rule[]
  /** Bytes; the largest object that the store takes. */
  maxObjectSize: number
  /** What somebody has sent so far. */
  usageOf(actor: Actor): Promise<Usage>
}

/** Whether `actor` may send the file, with what they have sent so far, as people read it. */
export async function explainTo(
  actor: Actor,
  explainRequest: ExplainRequest,
  options: ExplainOptions,
): Promise<ExplanationView> {
  const { policies, rules, maxObjectSize, usageOf } = options
  const usage = await usageOf(actor)
  return viewOf(explain(actor, explainRequest, { policies: policies(), rules, maxObjectSize, usage, now: new Date() }))
}

/** `POST /explain`: may I send this, and why not. */
export async function explainPlugin(app: FastifyInstance, options: ExplainOptions): Promise<void> {
  const schema = {
    tags,
    summary: 'Whether I may send a file, and why not',
    body: jsonSchema(explainQuery, 'input'),
    ...answers,
  }
  app.post<{ Body: z.output<typeof explainQuery> }>('/explain', { schema }, async ({ actor, body }) =>
    explainTo(actor, body, options),
  )
}

/** `POST /explain` for any user that an administrator administers. */
export async function adminExplainPlugin(app: FastifyInstance, options: ExplainOptions): Promise<void> {
  tenantAdminsToo(app)
  const schema = {
    tags,
    summary: 'Whether somebody may send a file, and why not',
    body: jsonSchema(explainRequestOf, 'input'),
    ...answers,
  }
  app.post<{ Body: z.output<typeof explainRequestOf> }>(
    '/explain',
    { schema },
    async ({ actor, body: { user, role, tenant, ...body } }) =>
      explainTo(userOf(user, role, { tenant: tenantWithin(actor, tenant) ?? null }), body, options),
  )
}

function viewOf({ isAllowed, reasons, effective }: Explanation): ExplanationView {
  const named = reasons.map((reason) => ({ ...reason, rule: ruleName(reason.rule) }))
  return {
    allowed: isAllowed,
    decidedBy: named[0]?.rule ?? null,
    why: named[0]?.why ?? 'No rule has anything against it.',
    reasons: named,
    limits: effective && limitsOf(effective),
  }
}

function limitsOf({ policy, sources }: EffectivePolicy): ExplanationView['limits'] {
  return Object.fromEntries(
    policyFields.map((field) => [fieldName(field), { value: writeValue(field, policy[field]), from: sources[field] }]),
  )
}

function ruleName(rule: string): string {
  return policyFields.includes(rule as keyof Policy) ? fieldName(rule as keyof Policy) : rule
}
