/** The embedded database cannot be used. The message is one sentence for the operator, with the fix. */
export class EmbeddedDatabaseError extends Error {
  override name = 'EmbeddedDatabaseError'
  readonly code = 'EMBEDDED_DATABASE'
}
