/** Where the server is, seen from this page: it may be mounted below any path. Ends with a slash. */
export const server = new URL('.', location.href).href
