import { settingNames } from './env-example.ts'

export interface EffectiveSetting {
  name: string
  /** As written in the environment or as the default; secrets are redacted. */
  value: string
  from: 'environment' | '.env' | 'default'
}

const secret = /SECRET|TOKEN|PASSWORD|CREDENTIAL|ACCESS_KEY|HEADERS$|^ISSUERS$/

/**
 * Every setting with its effective value and source. Values of settings whose name suggests a secret are redacted, and so are passwords
 * in URLs.
 */
export function effectiveSettings(env: Record<string, string | undefined>, inFile: Set<string>): EffectiveSetting[] {
  return settingNames().map(({ name, fallback }) => {
    const given = env[name]?.trim() ? env[name] : undefined
    if (given === undefined) return { name, value: fallback, from: 'default' }
    return { name, value: withoutSecret(name, given), from: inFile.has(name) ? '.env' : 'environment' }
  })
}

function withoutSecret(name: string, value: string): string {
  if (secret.test(name)) return '[redacted]'
  return value
    .replace(/(:\/\/)[^/@\s]*@/g, '$1[redacted]@')
    .replace(/([?&](?:password|sslpassword)=)[^&]*/gi, '$1[redacted]')
}
