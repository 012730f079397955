/** What only the REST endpoints answer. */
export const restErrors = {}
