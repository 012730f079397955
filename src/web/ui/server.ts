/** The URL of the server, which may be mounted below any path. Ends with a slash. */
export const server = new URL('.', location.href).href
