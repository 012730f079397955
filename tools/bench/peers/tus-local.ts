/* The usual stack on a local disk: @tus/server with @tus/file-store on Fastify. */
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'
import fastify from 'fastify'
import { serveTus } from './listen.ts'

const datastore = new FileStore({ directory: process.env.DATA_DIR! })
await serveTus(fastify({ logger: true }), new Server({ path: '/files', datastore }))
