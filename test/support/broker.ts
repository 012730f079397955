/**
 * Requests a resource that all test files share from the process that runs the tests: see global-setup.ts.
 * @throws Error with the message of that process
 */
export async function askBroker(path: string): Promise<Record<string, string>> {
  const { TEST_BROKER: broker } = process.env
  if (!broker) throw new Error('Run this in vitest with test/support/global-setup.ts')
  const response = await fetch(new URL(path, broker))
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return JSON.parse(text) as Record<string, string>
}
