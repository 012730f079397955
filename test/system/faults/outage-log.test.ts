import { expect, it, onTestFinished } from 'vitest'
import { startNodeProcess } from '../../support/node-process.ts'
import { startPostgres } from '../../support/postgres.ts'
import { headersOf, testSecret } from '../../support/tus-file.ts'
import { until } from '../../support/until.ts'

const metricsToken = 'the-token-of-the-metrics'

it('logs an outage of the database in two lines, whatever the server does meanwhile', async () => {
  const postgres = await startPostgres()
  onTestFinished(() => postgres.stop())
  const server = await startNodeProcess({
    environment: {
      DATABASE_URL: postgres.url,
      JWT_SECRET: testSecret,
      METRICS_TOKEN: metricsToken,
      // Longer than a busy machine takes for a statement: that would be an outage of its own.
      DATABASE_TIMEOUT: '2s',
      LEASE_TTL: '1s',
      LOG_LEVEL: 'info',
    },
  })
  onTestFinished(() => server.kill())
  const authorization = `Bearer ${metricsToken}`
  const backgroundErrors = async () => {
    const text = await (await fetch(`${server.url}/metrics`, { headers: { authorization } })).text()
    return Number(/^landfall_background_errors_total (\d+)/m.exec(text)?.[1])
  }
  const before = server.records().length

  await postgres.kill()
  const statuses = new Set<number>()
  // Background jobs, requests and readiness checks run into the outage repeatedly.
  do {
    await fetch(`${server.url}/readyz`)
    statuses.add((await fetch(`${server.url}/v1/uploads`, { headers: await headersOf() })).status)
  } while ((await backgroundErrors()) < 2)
  await postgres.start()
  await until(() =>
    server
      .records()
      .slice(before)
      .some(({ msg }) => msg === 'database restored'),
  )

  const lines = server.records().slice(before)
  expect([...statuses]).toEqual([503])
  expect(lines.filter(({ level }) => isWarning(level)).map(({ msg, err }) => `${msg} ${JSON.stringify(err)}`)).toEqual([
    expect.stringContaining('database lost'),
  ])
  expect(lines.filter(({ msg }) => /^database/.test(String(msg)))).toHaveLength(2)
  expect(lines.filter((line) => 'err' in line || JSON.stringify(line).includes('stack'))).toEqual([])
})

/** Whether a level, a number or a name, is `warn` or higher. */
function isWarning(level: unknown): boolean {
  return typeof level === 'number' ? level >= 40 : /warn|error|fatal/.test(String(level))
}
