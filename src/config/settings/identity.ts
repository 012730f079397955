import { z } from 'zod'
import { issuers } from '../issuers.ts'
import { policies } from '../policies.ts'
import { tokenSecrets } from '../secrets.ts'
import { duration, names, wait } from '../values.ts'

/** Who users are, and what their roles may send. */
export const identity = {
  JWT_SECRET: tokenSecrets
    .optional()
    .describe(
      'The secret that signs and verifies bearer tokens (HS256), at least 32 bytes; `openssl rand -base64 48` generates one. Several are separated by commas: the first signs, all verify. In development one is generated and kept in DATA_DIR',
    ),
  JWT_AUDIENCE: names
    .prefault('')
    .describe(
      'Audiences, separated by commas: tokens of JWT_SECRET must name one of them (`aud`). Empty: any audience',
    ),
  JWT_ISSUER: z
    .string()
    .trim()
    .optional()
    .describe('The issuer that tokens of JWT_SECRET must name (`iss`). Default: any issuer'),
  JWT_MAX_LIFETIME: duration.prefault('30d').describe('The longest lifetime of a token of JWT_SECRET; 0s for no limit'),
  ISSUERS: issuers
    .prefault('[]')
    .describe(
      'Issuers whose tokens are accepted in addition to those of JWT_SECRET, as JSON or the path of a JSON file; see docs/identity.md',
    ),
  HOOKS: z
    .string()
    .optional()
    .describe(
      'The path of your own module that authorizes requests, identifies users and names objects; see docs/identity.md',
    ),
  HOOK_TIMEOUT: wait(1)
    .prefault('2s')
    .describe('How long a function of HOOKS may take before the request is answered 503'),
  POLICIES: policies
    .prefault('{}')
    .describe('Changes to the built-in roles, as JSON: {"member":{"maxSize":"5GiB","timeToLive":"7d"}}'),
}
