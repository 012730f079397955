/**
 * How a Postgres program whose working directory is `folder` names that folder. On Linux not by its path: Postgres runs as a user
 * who may have no way down to the folder, and who needs none to stay where it was started.
 */
export const dataArgument = (folder: string) => (process.platform === 'linux' ? '/proc/self/cwd' : folder)

/** What the programs of Postgres see of our environment: messages in English, and nothing that was meant for another database. */
export const programEnv = () => ({ PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' })
