/** Bundles the server and the command into `folder`: `server.js`, `landfall.js` and their shared chunks. */
export function bundle(folder: string): Promise<void>

/** As `bundle`, together with what other programs import. Returns the paths of the modules that it is made of. */
export function bundlePackage(folder: string): Promise<string[]>

/** Bundles into `folder` what pages import. Returns the paths of its modules. */
export function bundleForBrowsers(folder: string): Promise<string[]>
