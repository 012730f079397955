import type { FastifyInstance } from 'fastify'
import {
  type ExplainQuery,
  type ExplainUserQuery,
  type Explanation as ExplanationView,
  explainQuery,
  explainUserQuery,
  explanation,
} from '../../contract/explain.ts'
import { tenantWithin } from '../../core/access/access.ts'
import { type ExplainRequest, type Explanation, explain } from '../../core/policy/explain.ts'
import type { CreationRule } from '../../core/policy/policy.ts'
import { type EffectivePolicy, type Policy, type PolicyDocument, policyFields } from '../../core/policy/policy.ts'
import type { Usage } from '../../core/policy/quota.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import { fieldName, writeValue } from '../../policies/schema.ts'

const tags = ['Policies']
const answers = { response: { 200: jsonSchema(explanation, 'output') } }

export interface ExplainOptions {
  policies(): PolicyDocument
  rules: CreationRule[]
  /** Bytes; the largest object that the store takes. */
  maxObjectSize: number
  /** The current usage of an actor. */
  usageOf(actor: Actor): Promise<Usage>
}

/** Whether `actor` may send the file with their current usage, as the API returns it. */
export async function explainTo(
  actor: Actor,
  explainRequest: ExplainRequest,
  options: ExplainOptions,
): Promise<ExplanationView> {
  const { policies, rules, maxObjectSize, usageOf } = options
  const usage = await usageOf(actor)
  return viewOf(explain(actor, explainRequest, { policies: policies(), rules, maxObjectSize, usage, now: new Date() }))
}

/** `POST /explain`: whether the client may send a file, and if not, why. */
export async function explainPlugin(app: FastifyInstance, options: ExplainOptions): Promise<void> {
  const schema = {
    tags,
    summary: 'Whether I may send a file, and if not, why',
    body: jsonSchema(explainQuery, 'input'),
    ...answers,
  }
  app.post<{ Body: ExplainQuery }>('/explain', { schema }, async ({ actor, body }) => explainTo(actor, body, options))
}

/** `POST /explain` for any user of the administrator's tenant, or of all tenants. */
export async function adminExplainPlugin(app: FastifyInstance, options: ExplainOptions): Promise<void> {
  tenantAdminsToo(app)
  const schema = {
    tags,
    summary: 'Whether a user may send a file, and if not, why',
    body: jsonSchema(explainUserQuery, 'input'),
    ...answers,
  }
  app.post<{ Body: ExplainUserQuery }>(
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
    why: named[0]?.why ?? 'No rule refuses the file.',
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
