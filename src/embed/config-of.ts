import { tokenSecret } from '../app/development.ts'
import { settingNames } from '../config/env-example.ts'
import { type Config, ConfigError, loadConfig } from '../config.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { LocalStoreOptions, S3StoreOptions, UploadsOptions } from './options.ts'

type Store = UploadsOptions['store']
type Options = Pick<
  UploadsOptions,
  'store' | 'database' | 'connections' | 'schema' | 'secret' | 'policies' | 'publicUrl' | 'cors' | 'settings'
>

/** The configuration that `options` describe; the environment of the process is not read. @throws ConfigError with all problems */
export async function configOf(options: Options): Promise<Config> {
  const { store, database, connections, schema = 'landfall', secret, policies = {}, publicUrl, cors = [] } = options
  const { settings = {} } = options
  const known = new Set(settingNames().map(({ name }) => name))
  const unknown = Object.keys(settings).filter((name) => !known.has(name))
  if (unknown.length > 0) throw new ConfigError(unknown.map((name) => `settings: there is no ${name}`))

  const config = loadConfig({
    DATABASE_SCHEMA: schema,
    POLICIES: JSON.stringify(policies),
    PUBLIC_URL: publicUrl,
    ...(cors.length > 0 && { CORS_ORIGINS: typeof cors === 'string' ? cors : cors.join(',') }),
    ...storeSettings(store),
    ...settings,
    ...(connections !== undefined && { DATABASE_POOL: String(connections) }),
    // The app around decides how many processes there are.
    WORKERS: '1',
    // Without a URL the mode is development: the database is an embedded one.
    ...(typeof database === 'string' && { DATABASE_URL: database }),
    ...(database === undefined
      ? { NODE_ENV: 'development' }
      : { NODE_ENV: 'production', JWT_SECRET: secret ?? (await generatedSecret(store)) }),
    ...(typeof database === 'object' && { DATABASE_URL: 'postgres://pool/' }),
  })
  return {
    ...config,
    ...(cors.length === 0 && { CORS_ORIGINS: [] }),
    ...(secret !== undefined && { JWT_SECRET: secret }),
  }
}

export function isObjectStore(store: Store): store is ObjectStore {
  return 'put' in store
}

function isLocal(store: Store): store is LocalStoreOptions {
  return 'directory' in store
}

function storeSettings(store: Store): Record<string, string | undefined> {
  if (isObjectStore(store)) return {}
  return isLocal(store) ? localSettings(store) : s3Settings(store)
}

function localSettings({ directory, fsync }: LocalStoreOptions) {
  return { STORE: 'local', DATA_DIR: directory, ...(fsync !== undefined && { LOCAL_FSYNC: String(fsync) }) }
}

function s3Settings(store: S3StoreOptions) {
  return {
    STORE: 's3',
    S3_BUCKET: store.bucket,
    S3_ENDPOINT: store.endpoint,
    S3_REGION: store.region,
    S3_ACCESS_KEY_ID: store.accessKeyId,
    S3_SECRET_ACCESS_KEY: store.secretAccessKey,
    S3_PREFIX: store.prefix,
    S3_PUBLIC_URL: store.publicUrl,
  }
}

/** The secret in the directory of a local store, which every process over it shares; other stores have no such place. */
async function generatedSecret(store: Store): Promise<string | undefined> {
  return isLocal(store) ? tokenSecret({ DATA_DIR: store.directory, JWT_SECRET: undefined }) : undefined
}
