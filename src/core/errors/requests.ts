/** What a request can be answered with before it reaches an upload: its HTTP, its body, its limits. */
export const requestErrors = {}
