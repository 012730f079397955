/** Whether `folder`/node_modules holds what its package-lock.json asks for. */
export function isInstalled(folder: string, options: { withDev: boolean }): boolean
