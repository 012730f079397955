import { z } from 'zod'
import { groups } from './settings.ts'

/** The text of `.env.example`: every setting with its description and default. */
export function renderEnvExample(): string {
  const lines = [
    '# Every setting of Landfall with its default. Copy this file to .env and uncomment the settings that you change.',
  ]
  for (const [title, group] of Object.entries(groups)) {
    lines.push('', '', `## ${title}`)
    const { properties = {} } = z.toJSONSchema(z.object(group), { io: 'input' })
    for (const [name, property] of Object.entries(properties)) {
      const { description, default: fallback = '', enum: choices } = property as z.core.JSONSchema.BaseSchema
      lines.push('', `# ${description}${choices ? `: ${choices.join(', ')}` : ''}`, `# ${name}=${String(fallback)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** The name of every setting and its default as text; empty when it has none. */
export function settingNames(): { name: string; fallback: string }[] {
  return Object.values(groups).flatMap((group) => {
    const { properties = {} } = z.toJSONSchema(z.object(group), { io: 'input' })
    return Object.entries(properties).map(([name, property]) => {
      const { default: fallback = '' } = property as z.core.JSONSchema.BaseSchema
      return { name, fallback: String(fallback) }
    })
  })
}
