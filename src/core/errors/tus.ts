/** What only tus answers. */
export const tusErrors = {}
