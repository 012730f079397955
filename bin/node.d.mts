/** Whether the server runs on this version of Node. */
export function isSupportedNode(version: string): boolean

/** The path of a supported Node; `null` when one must be installed. */
export function findNode(root: string, version?: string): string | null
