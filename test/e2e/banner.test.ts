import { execFile } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { expect, it } from 'vitest'
import { makeFolder, startSluice, type SluiceOptions } from '../support/process.ts'
import { startUpstream } from '../support/upstream.ts'
import { TLS } from '../support/tls.ts'

/** The commands that the program prints at its start. */
async function commandsOf(options: SluiceOptions): Promise<string[]> {
  const sluice = await startSluice(options)
  await expect.poll(() => sluice.output().stderr).toContain('Or give an SDK this base URL')
  return sluice
    .output()
    .stderr.split('\n')
    .filter((line) => line.startsWith('  curl'))
}

function runInShell(command: string, env: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve) =>
    execFile('sh', ['-c', command], { env: { PATH: process.env.PATH ?? '', ...env } }, (_, stdout) => resolve(stdout)),
  )
}

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((each) => each?.address === '::1')

const IPV6: [string, Record<string, string>][] = hasIpv6
  ? [
      ['all addresses, of both kinds', { HOST: '::', ALLOW_ANONYMOUS: 'true' }],
      ['IPv6', { HOST: '::1' }],
    ]
  : []

const KEY = { SLUICE_KEY: 'k' }

it.each<[what: string, env: Record<string, string>]>([
  ['the mock', {}],
  ['keys', { SLUICE_KEYS: 'ada:k' }],
  ['TLS, with a certificate of its own', { TLS_CERT: TLS.tlsCert, TLS_KEY: TLS.tlsKey }],
  ['all addresses', { HOST: '0.0.0.0', ALLOW_ANONYMOUS: 'true' }],
  ['an admin port', { ADMIN_PORT: '0' }],
  ...IPV6,
])('the printed command streams an answer: %s', async (_, env) => {
  const [command = '', ...others] = await commandsOf({ env })
  expect(others).toEqual([])
  expect(await runInShell(command, KEY)).toMatch(/event: done\ndata: \{"finish_reason":"stop"/)
})

it('the printed command names a model where the gateway has no default one', async () => {
  const upstream = await startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end('data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
  })
  const [listed = ''] = await commandsOf({
    env: { OPENAI_BASE_URL: upstream.url },
    cwd: await makeFolder({ 'sluice.yaml': 'models: { tale: openai/any }' }),
  })
  expect(listed).toContain('"model":"tale"')
  expect(await runInShell(listed)).toMatch(/event: done\ndata: \{"finish_reason":"stop"/)
})

it('where no model is known, a command that lists those of the upstream comes first', async () => {
  const upstream = await startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ object: 'list', data: [{ id: 'tale' }] }))
  })
  const [list = '', chat = ''] = await commandsOf({ env: { OPENAI_BASE_URL: upstream.url } })
  expect(JSON.parse(await runInShell(list))).toMatchObject({ data: [{ id: 'openai/tale' }] })
  expect(chat).toContain('"model":"…"')
})
