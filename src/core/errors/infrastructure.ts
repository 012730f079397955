/** What a database, a lock or a store that does not answer leads to. */
export const infrastructureErrors = {}
