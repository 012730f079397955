import { accessErrors } from './access.ts'
import { adminErrors } from './admin.ts'
import { fileErrors } from './files.ts'
import { identityErrors } from './identity.ts'
import { infrastructureErrors } from './infrastructure.ts'
import { requestErrors } from './requests.ts'
import { restErrors } from './rest.ts'
import { rufhErrors } from './rufh.ts'
import { tusErrors } from './tus.ts'
import { uploadErrors } from './uploads.ts'
import { webhookErrors } from './webhooks.ts'

/**
 * The error table: a maker for every error that can be answered, by name. A call site gives facts and never a sentence:
 * `throw errors.offsetMismatch({ offset, provided })`.
 */
export const errors = {
  ...uploadErrors,
  ...fileErrors,
  ...accessErrors,
  ...requestErrors,
  ...identityErrors,
  ...tusErrors,
  ...rufhErrors,
  ...restErrors,
  ...adminErrors,
  ...webhookErrors,
  ...infrastructureErrors,
}
