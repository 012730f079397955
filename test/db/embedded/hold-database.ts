// A process that uses the embedded database in a folder. It answers HTTP requests once it does.
import { createServer } from 'node:http'
import { openEmbedded } from '../../../src/db/embedded/embedded.ts'

const [folder = '', quietSeconds] = process.argv.slice(2)
await openEmbedded({ folder, quietSeconds: Number(quietSeconds), onError: () => {} })
createServer((_, response) => response.end()).listen(Number(process.env.PORT), process.env.HOST)
