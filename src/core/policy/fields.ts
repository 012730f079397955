/*
 * The fields of a policy. Each is declared once, by the rule that reads it or among the limits of `policy.ts`, with the form of its values.
 * The type of a policy, the JSON of a document and the fields that are shown follow from these declarations.
 */
import type { Category } from './categories.ts'

/** Which file names are allowed. `*` stands for any run of characters and `?` for one; case does not matter. */
export interface FileNames {
  /** A name must match one of these; `null`: any name. */
  allow: string[] | null
  /** A name that matches one of these is refused even if `allow` has it. */
  deny: string[]
  /** Characters; `null`: only the server's own limit. */
  maxLength: number | null
}

/** The forms of values. `policies/schema.ts` says how a document writes each, and what it may be at least and at most. */
export interface Forms {
  /** Bytes. */
  size: number
  /** Bytes, of a part. */
  partSize: number
  /** Bytes per second. */
  speed: number
  /** Milliseconds. */
  duration: number
  /** A whole number, from 0. */
  count: number
  /** A whole number, from 1. */
  rate: number
  /** Each exact (`image/png`) or with a wildcard (`image/*`, or all of them). */
  mediaTypes: string[]
  categories: Category[]
  fileNames: FileNames
}

/** The form of each field, by name. */
export type Fields = Readonly<Record<string, keyof Forms>>

/** The values of fields; `null` is no limit. */
export type ValuesOf<Of extends Fields> = { -readonly [Name in keyof Of]: Forms[Of[Name]] | null }
