import type { TestApp } from '../../support/test-app.ts'

/** A file of ada's that was sent in one request; returns its id. */
export async function sendWholeFile(
  app: Pick<TestApp, 'http' | 'as'>,
  name: string,
  bytes: string | Buffer,
  headers: Record<string, string> = {},
): Promise<string> {
  const answer = await app.http.inject({
    method: 'PUT',
    url: `/v1/files/${encodeURIComponent(name)}`,
    headers: { 'content-type': 'text/plain', ...headers, ...(await app.as()) },
    payload: bytes,
  })
  if (answer.statusCode !== 201) throw new Error(answer.body)
  return answer.json().id
}
