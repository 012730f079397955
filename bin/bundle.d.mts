/** Bundles the server and the command into `folder`: `server.js`, `landfall.js` and their shared chunks. */
export function bundle(folder: string): Promise<void>
