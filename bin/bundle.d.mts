/** Bundles the server and the command into `folder`: `server.js`, `landfall.js` and what both share. */
export function bundle(folder: string): Promise<void>
