/** Whether `folder`/node_modules matches package-lock.json. */
export function isInstalled(folder: string, options: { withDev: boolean }): boolean
