/** Bundles the server and the command into `folder`: the server, the command, what package.json exports, and what they share. */
export function bundle(folder: string): Promise<void>
