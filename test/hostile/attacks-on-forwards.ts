import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Attack, Scale } from './attack.ts'
import { ask, dial, flood } from './target.ts'

// Attacks on requests that are passed on, by callers and by upstreams.

const MB = 1024 * 1024
/** The target's default `STORE_MAX_BYTES`, doubled for garbage. */
const BUDGET_MB = 2 * 256

const form = (more: string) =>
  `POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\n${more}\r\n\r\n`
const FILE = '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
const MODEL = '--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nopenai/m\r\n'
const many = (scale: Scale, quick: number, full: number) => (scale === 'full' ? full : quick)

export const ATTACKS_ON_FORWARDS: Attack[] = [
  {
    name: 'forms that never come to their model',
    memory: BUDGET_MB,
    async run(target, scale) {
      const bytes = Buffer.from(`${form(`content-length: ${32 * MB}`)}${FILE}${'x'.repeat(31 * MB)}`)
      for (let i = 0; i < many(scale, 12, 40); i++) {
        await dial(target, bytes)
        await sleep(100)
      }
      await sleep(1000)
    },
  },
  {
    name: 'a form in chunks of one byte',
    // Node's parser calls back for each chunk.
    longestTurn: 0.5,
    memory: BUDGET_MB,
    async run(target, scale) {
      const size = many(scale, 300_000, 5_000_000)
      const bytes = Buffer.from(`${form('transfer-encoding: chunked')}${FILE.length.toString(16)}\r\n${FILE}\r\n`)
      const socket = await dial(target, Buffer.concat([bytes, Buffer.from('1\r\n-\r\n'.repeat(size))]))
      socket.on('error', () => {})
      await sleep(3000)
    },
  },
  {
    name: 'uploads that an upstream takes and never answers',
    memory: 100,
    upstream: () => {},
    env: { FIRST_TOKEN_TIMEOUT_MS: '3000' },
    async run(target, scale) {
      const bytes = Buffer.from(`${form(`content-length: ${6 * MB}`)}${MODEL}${FILE}${'x'.repeat(5 * MB)}`)
      for (let i = 0; i < many(scale, 4, 10); i++) await dial(target, bytes)
      await sleep(5000)
    },
  },
  {
    name: 'texts to embed of as many values as there may be',
    longestTurn: 0.25,
    memory: 300,
    async run(target, scale) {
      for (let i = 0; i < many(scale, 2, 10); i++) {
        const input = Array.from({ length: 2000 }, () => Array.from({ length: 200 }, () => 1))
        const { status } = await ask(target, '/v1/embeddings', { body: { model: 'mock', input } })
        expect(status).toBe(200)
      }
    },
  },
  {
    name: 'a response that never ends, to callers who do not read',
    memory: 100,
    upstream(socket, scale) {
      socket.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n')
      const limits = { ms: scale === 'full' ? 20_000 : 5000, bytes: 3e9 }
      void flood(socket, () => Buffer.alloc(65_536), limits).then(() => socket.destroy())
    },
    async run(target, scale) {
      const body = JSON.stringify({ model: 'openai/m', input: 'hi' })
      const request = `POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      for (let i = 0; i < many(scale, 20, 100); i++) await dial(target, request, { read: false })
      await sleep(4000)
    },
  },
]
