import { z } from 'zod'

/** The one-time code of a sign-in link. */
export const signIn = z.object({ code: z.string().min(1).max(256) })

/** What the server returns for the code. */
export const signedIn = z.object({
  token: z.string(),
  user: z.string(),
  role: z.string(),
  expiresAt: z.iso.datetime(),
})

export type SignIn = z.output<typeof signIn>
export type SignedIn = z.output<typeof signedIn>
