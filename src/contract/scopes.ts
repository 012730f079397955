/** What an API key may be used for. Without zod, because the pages use the list itself. */
export const scopes = ['upload', 'read', 'cancel', 'admin'] as const
export type Scope = (typeof scopes)[number]
