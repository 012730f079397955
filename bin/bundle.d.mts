/** Bundles the server and the command into `folder`: `server.js`, `landfall.js` and their shared chunks. */
export function bundle(folder: string): Promise<void>

/** As `bundle`, together with what other programs import. */
export function bundlePackage(folder: string): Promise<void>

/** Bundles into `folder` what pages import. */
export function bundleForBrowsers(folder: string): Promise<void>
