import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Target } from './contestants.ts'
import { start } from './processes.ts'
import type { Counts } from './sink/bucket.ts'
import type { SinkSettings } from './sink/serve.ts'

/** The S3 server that the servers upload to: the sink, which counts requests, or a real one. */
export interface S3End {
  target(isTls: boolean): Target
  /** The environment in which a server trusts the sink's certificate. */
  trust(): Record<string, string>
  /** Sets latency and faults of the sink. Resolves to its counts; `null` for a real server. */
  configure(settings: SinkSettings): Promise<Counts | null>
  close(): Promise<void>
}

/** Starts the sink in its own process; with TLS where a case needs it, with a certificate made for this run (needs openssl). */
export async function startSink({ isTls: needsTls }: { isTls: boolean }): Promise<S3End> {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-sink-'))
  const certificate = needsTls ? makeCertificate(directory) : null
  const sink = start<SinkSettings, Counts>({
    script: fileURLToPath(new URL('./sink/serve.ts', import.meta.url)),
    environment: certificate ? { BENCH_TLS_KEY: certificate.key, BENCH_TLS_CERT: certificate.cert } : {},
  })
  const { plain, tls } = await sink.first<{ plain: number; tls: number }>()
  return {
    target: (isTls) => ({
      endpoint: isTls ? `https://127.0.0.1:${tls}` : `http://127.0.0.1:${plain}`,
      bucket: 'bench',
      accessKeyId: 'bench-access-key',
      secretAccessKey: 'bench-secret-key',
      region: 'us-east-1',
    }),
    trust: () => (certificate ? { NODE_EXTRA_CA_CERTS: certificate.cert } : {}),
    configure: (settings) => sink.ask(settings),
    async close() {
      await sink.kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function makeCertificate(directory: string): { key: string; cert: string } {
  const key = join(directory, 'key.pem')
  const cert = join(directory, 'cert.pem')
  const subject = ['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { key, cert }
}

/** A real S3 server, with the bucket and the credentials of TEST_S3_*. Its objects are not removed afterwards. */
export function realS3(endpoint: string): S3End {
  const env = process.env
  const target: Target = {
    endpoint,
    bucket: env.TEST_S3_BUCKET ?? 'uploads',
    accessKeyId: env.TEST_S3_ACCESS_KEY_ID ?? '',
    secretAccessKey: env.TEST_S3_SECRET_ACCESS_KEY ?? '',
    region: env.TEST_S3_REGION ?? 'us-east-1',
  }
  return { target: () => target, trust: () => ({}), configure: async () => null, close: async () => {} }
}
