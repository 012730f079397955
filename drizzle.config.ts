import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'postgresql',
  schema: ['./src/db/schema.ts', './src/policies/tables.ts', './src/features/*/tables.ts'],
  out: './drizzle',
})
