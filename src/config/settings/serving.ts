import { z } from 'zod'
import { choice, count, headerNames, mode, origins, pairs, trust, wait, webUrl, workers } from '../values.ts'

const second = 1000

/** How the server is reached, what it logs and measures, and how it starts and stops. */
export const serving = {
  NODE_ENV: mode
    .prefault('development')
    .describe(
      'production: a service; needs DATABASE_URL and JWT_SECRET. development: for evaluation, with an embedded database and a one-time sign-in link; refuses DATABASE_URL and JWT_SECRET. test: as development, for automated tests',
    ),
  HOST: z.string().default('localhost').describe('The address to listen on; 0.0.0.0 for every interface'),
  PORT: count(0, 65_535).default(1080).describe('The port to listen on; 0 for a free one'),
  WORKERS: workers
    .optional()
    .describe(
      'How many processes answer requests behind PORT. auto: one for each core, as far as each has 512MiB of memory, 16MiB of MEMORY_BUDGET and two connections of DATABASE_POOL. Limits of a server are shared out over them. Default: auto in production, 1 in development',
    ),
  PUBLIC_URL: webUrl
    .optional()
    .describe('The URL at which clients reach the server. Upload URLs are relative unless this is set'),
  TRUST_PROXY: trust
    .prefault('false')
    .describe(
      'The proxies whose X-Forwarded-* headers to trust: true (all), false (none), or addresses and networks such as 10.0.0.0/8',
    ),
  INTERIM_RESPONSES: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe(
      'Whether clients of Resumable Uploads for HTTP get 104 responses before the final one; auto: only without a proxy. nginx and Varnish take 104 for the final response; always is for proxies that forward it, such as HAProxy and Caddy. Test with landfall doctor',
    ),
  CORS_ORIGINS: origins
    .prefault('*')
    .describe(
      'The origins whose pages may call this server, separated by commas: * for all, https://*.example.org for every subdomain, http://localhost:* for every port',
    ),
  CORS_HEADERS: headerNames
    .prefault('')
    .describe(
      'Request headers that pages may send in addition to those of the protocols and of tracing, separated by commas, such as apikey, x-tenant',
    ),
  CORS_CREDENTIALS: z
    .stringbool()
    .prefault('false')
    .describe(
      'Whether browsers send cookies, for a proxy or HOOKS that read them; needs CORS_ORIGINS other than *. Landfall itself uses no cookies',
    ),
  API_DOCS: z
    .stringbool()
    .optional()
    .describe('Whether /docs serves the API documentation to every client. Default: only in development'),
  LOG_LEVEL: choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent')
    .default('info')
    .describe('The lowest level that is logged'),
  LOG_FORMAT: choice('auto', 'json', 'text')
    .default('auto')
    .describe('The format of the log; auto: text on a terminal, json elsewhere'),
  HEADERS_TIMEOUT: wait(second).prefault('30s').describe('How long a client may take to send the headers of a request'),
  WRITE_TIMEOUT: wait(second)
    .prefault('30s')
    .describe('How long a client may leave a response unread before its connection is closed'),
  START_TIMEOUT: wait()
    .prefault('60s')
    .describe('How long a starting server waits for a database or a store that is not reachable'),
  METRICS_PORT: count(0, 65_535)
    .optional()
    .describe(
      'A separate port for /metrics, which any client that reaches it may read. Without it /metrics is on PORT if METRICS_TOKEN is set, and is not served otherwise',
    ),
  METRICS_TOKEN: z
    .string()
    .min(16, 'expected at least 16 characters')
    .optional()
    .describe('The bearer token that clients need to read /metrics on PORT'),
  OTEL_EXPORTER_OTLP_ENDPOINT: webUrl
    .optional()
    .describe('A collector that accepts OTLP over HTTP, such as http://collector:4318; tracing is off without it'),
  OTEL_EXPORTER_OTLP_HEADERS: pairs
    .prefault('')
    .describe('Request headers for the collector: name=value, separated by commas'),
  OTEL_SERVICE_NAME: z.string().default('landfall').describe('The service name in traces'),
  DRAIN_TIMEOUT: wait()
    .prefault('20s')
    .describe('How long a stopping server waits for requests to save the bytes they received'),
}
