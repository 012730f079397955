/** Whether the server runs on this version of Node. */
export function isGoodNode(version: string): boolean

/** The path of a Node that is good and there already; `null` when one must be installed. */
export function findNode(root: string, version?: string): string | null
