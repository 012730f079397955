/** Who asks, and why that could not be told. */
export const identityErrors = {}
