/** Prefix of the user id of an API key that acts for no user. No token may name a user with this prefix, or it could act as the key. */
export const keyPrefix = 'key:'

/** Whether `text` is a valid name of a user or tenant. Names come from outside, so they must fit a database column and a log line. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && /^[^\p{Cc}]{1,128}$/u.test(text) && text.isWellFormed()
}

/** Whether `text` is a valid name of a user and not the id of an API key. */
export function isUser(text: unknown): text is string {
  return isName(text) && !text.startsWith(keyPrefix)
}

/** Whether `text` is a valid name of a role. */
export function isRole(text: unknown): text is string {
  return typeof text === 'string' && /^[\w-]{1,64}$/.test(text)
}
