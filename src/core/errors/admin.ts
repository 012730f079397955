/** What the features answer: policies, keys, usage, events, hooks. */
export const adminErrors = {}
