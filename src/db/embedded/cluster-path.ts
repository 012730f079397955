/**
 * The path of `folder` for a Postgres program whose working directory it is. On Linux `/proc/self/cwd`, because the user as whom
 * Postgres runs may lack the permission to enter the parents of the folder.
 */
export const dataArgument = (folder: string) => (process.platform === 'linux' ? '/proc/self/cwd' : folder)

/** The environment of Postgres programs: English messages, and no PG variables that were set for another database. */
export const programEnv = () => ({ PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' })
