// Secrets of every kind, and errors of every kind at the most talkative level: nothing that leaves the process has one.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { makeFolder, ROOT, spawnSluice, startSluice } from '../support/process.ts'
import { startTraceCollector } from '../support/trace-collector.ts'
import { startUpstream } from '../support/upstream.ts'
import { ask, type AskOptions } from './target.ts'

const SECRETS = {
  keyInEnvironment: 'slk_environment-1a2b3c',
  keyInFile: 'slk_file-4d5e6f',
  hashedKey: `sha256:${'7'.repeat(64)}`,
  metricsToken: 'metrics-token-7g8h9i',
  ticketSecret: 'ticket-secret-0j1k2l',
  olderTicketSecret: 'older-ticket-secret-3m4n5o',
  jwtSecret: 'jwt-secret-of-more-than-32-characters-6p7q8r',
  openaiKey: 'sk-openai-9s0t1u',
  anthropicKey: 'sk-ant-2v3w4x',
  fileProviderKey: 'sk-file-5y6z7a',
  proxyHeader: 'proxy-header-8b9c0d',
  queryKey: 'query-key-1e2f3g',
  pluginOption: 'plugin-option-4h5i6j',
}

/** An upstream that quotes whatever it is sent, in a way that depends on the model. */
function startQuoting() {
  return startUpstream((response, { path, headers, body }) => {
    const words = `No: ${path} ${JSON.stringify(headers)}`
    const [, status = '400'] = /"model":"s(\d+)"/.exec(JSON.stringify(body)) ?? []
    const event = `data: ${JSON.stringify({ error: { message: words, code: words } })}\n\n`
    if (status === '200') response.writeHead(200, { 'content-type': 'text/event-stream' }).end(event)
    else if (status === '999') response.destroy()
    else
      response
        .writeHead(Number(status), { 'content-type': words.slice(0, 60) })
        .end(JSON.stringify({ error: { message: words } }))
  })
}

const PLUGIN = `
export default {
  name: 'plugin',
  async *stream(request, { options }) {
    throw new Error('I was given ' + JSON.stringify([options, '${SECRETS.pluginOption}']))
  },
}
`

const yamlOf = (upstream: string) => `
keys:
  - { name: file, key: ${SECRETS.keyInFile}, scopes: [chat, read, cancel, metrics, admin] }
  - { name: hashed, hash: '${SECRETS.hashedKey}' }
jwt: { issuer: i, audience: a, secret: ${SECRETS.jwtSecret} }
providers:
  mock: { type: mock }
  file:
    type: openai
    baseUrl: ${upstream}?key=${SECRETS.queryKey}
    apiKey: ${SECRETS.fileProviderKey}
    headers: { x-proxy-token: ${SECRETS.proxyHeader} }
  gone: { type: openai, baseUrl: 'http://127.0.0.1:9/v1?key=${SECRETS.queryKey}', apiKey: ${SECRETS.fileProviderKey} }
  plugin: { type: module, module: ./plugin.js, options: { secret: ${SECRETS.pluginOption} } }
`

async function prepare() {
  const upstream = await startQuoting()
  const cwd = await makeFolder({
    'sluice.yaml': yamlOf(upstream.url),
    'plugin.js': PLUGIN,
    'package.json': '{"type":"module"}',
  })
  const env = {
    SLUICE_KEYS: `environment:${SECRETS.keyInEnvironment}`,
    METRICS_TOKEN: SECRETS.metricsToken,
    TICKET_SECRET: `${SECRETS.ticketSecret},${SECRETS.olderTicketSecret}`,
    OPENAI_API_KEY: SECRETS.openaiKey,
    OPENAI_BASE_URL: upstream.url,
    ANTHROPIC_API_KEY: SECRETS.anthropicKey,
    ANTHROPIC_BASE_URL: upstream.url,
    LOG_LEVEL: 'trace',
  }
  return { cwd, env }
}

/** Secrets in a text, in any encoding that a log or a URL would use. */
function secretsIn(text: string, more: readonly string[] = []): string[] {
  const forms = (secret: string) => [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  ]
  return [...Object.values(SECRETS), ...more].filter((secret) => forms(secret).some((form) => text.includes(form)))
}

const say = { messages: [{ role: 'user', content: 'hi' }] }
const MODELS = ['openai', 'anthropic', 'file'].flatMap((name) =>
  [200, 400, 401, 403, 404, 429, 500, 999].map((status) => `${name}/s${status}`),
)
const PATHS = ['/v1/chat', '/v1/chat/completions', '/v1/messages']

describe('the process', () => {
  it('writes, counts, traces and answers no secret and no ticket, whatever goes wrong', async () => {
    const { cwd, env } = await prepare()
    const collector = await startTraceCollector()
    const sluice = await startSluice({
      cwd,
      env: {
        ...env,
        NODE_OPTIONS: `--import ${pathToFileURL(join(ROOT, 'examples/tracing.js')).href}`,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      },
    })
    const target = { port: Number(new URL(sluice.url).port) }
    const key = { authorization: `Bearer ${SECRETS.keyInFile}` }
    const token = await new SignJWT({ sub: 'ann' })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer('i')
      .setAudience('a')
      .setExpirationTime('1h')
      .sign(Buffer.from(SECRETS.jwtSecret))
    // The first letter of the signature: the last one has two bits that no decoder reads.
    const forged = token.replace(/(?<=\..*\.)./, (first) => (first === 'A' ? 'B' : 'A'))

    const answers: string[] = []
    const asked = async (path: string, options: AskOptions = {}) => {
      const answer = await ask(target, path, options)
      answers.push(`${path} ${JSON.stringify(answer)}`)
      return answer
    }

    // Each way in.
    for (const headers of [key, { 'x-api-key': SECRETS.keyInEnvironment }, { authorization: `Bearer ${token}` }])
      expect(
        (await asked('/v1/chat', { body: say, headers: { ...headers, 'sluice-user': 'ann' } })).status,
      ).toBeLessThan(404)
    // Each way not in.
    for (const wrong of [
      `${SECRETS.keyInFile}x`,
      `${SECRETS.metricsToken} x`,
      SECRETS.metricsToken,
      forged,
      SECRETS.hashedKey,
    ])
      for (const path of PATHS)
        expect([401, 403]).toContain(
          (await ask(target, path, { body: say, headers: { authorization: `Bearer ${wrong}` } })).status,
        )
    // Each failure of an upstream and a plugin.
    await Promise.all(
      [...MODELS, 'gone/m', 'plugin/m', 'none/m'].flatMap((model) =>
        PATHS.flatMap((path) =>
          [true, false].map((stream) =>
            asked(path, {
              body: { ...say, model, stream, max_tokens: 1 },
              headers: { ...key, accept: stream ? 'text/event-stream' : 'application/json' },
            }),
          ),
        ),
      ),
    )
    // Bodies and headers that are wrong.
    for (const body of [
      `{"messages": ${SECRETS.keyInFile}`,
      { messages: SECRETS.keyInFile },
      { ...say, model: SECRETS.keyInFile },
    ])
      await ask(target, '/v1/chat', { body, headers: { ...key, cookie: SECRETS.keyInFile, 'x-request-id': '?' } })

    // Tickets, in each place and each state.
    const created = await ask(target, '/v1/chat', {
      body: { ...say, mock: { text: 'a b', stall_at: 1 } },
      headers: { ...key, prefer: 'respond-async' },
    })
    const { id, url } = JSON.parse(created.body)
    const made = await ask(target, `/v1/streams/${id}/tickets`, { body: { scope: 'cancel', ttl: 60 }, headers: key })
    const tickets = [new URL(url, sluice.url).searchParams.get('ticket') ?? '', String(JSON.parse(made.body).ticket)]
    expect(tickets.map((ticket) => ticket.length > 40)).toEqual([true, true])
    const json = { accept: 'application/json' }
    for (const ticket of tickets) {
      expect((await ask(target, `/v1/streams/${id}?ticket=${ticket}`, { headers: json })).status).toBe(200)
      expect((await ask(target, `/v1/streams/${id}`, { headers: { ...json, 'sluice-ticket': ticket } })).status).toBe(
        200,
      )
      for (const path of [
        `/v1/streams/str_0?ticket=${ticket}`,
        `/nothing?ticket=${ticket}`,
        `/v1/streams/${id}?protocol=x&ticket=${ticket}`,
      ])
        await asked(path, { headers: { referer: `${sluice.url}/?ticket=${ticket}` } })
    }
    await ask(target, `/v1/streams/${id}?ticket=${tickets[1]}`, { method: 'DELETE' })

    // Everything that machines read.
    const metricsKey = { authorization: `Bearer ${SECRETS.metricsToken}` }
    for (const accept of ['text/plain', 'application/openmetrics-text'])
      expect((await asked('/metrics', { headers: { ...metricsKey, accept } })).status).toBe(200)
    for (const path of ['/metrics', '/v1/models', '/v1/status', '/healthz', '/readyz', '/'])
      await asked(path, { headers: key })

    // Not only when it ends: then a slow machine may leave some of them behind.
    await collector.spans.until((spans) => spans.length > 150)
    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
    const { stdout, stderr } = sluice.output()
    expect(stdout).toContain('"level":"warn"')
    expect(sluice.lines.entries.filter(({ msg }) => msg === 'request').length).toBeGreaterThan(150)

    const given = [...tickets, token, forged]
    expect(secretsIn(stdout + stderr, given)).toEqual([])
    expect(secretsIn(JSON.stringify(collector.spans.entries), given)).toEqual([])
    // A path is echoed to its own caller.
    const echoed = answers.map((answer) =>
      tickets.reduce((text, ticket) => text.replace(`ticket=${ticket}`, ''), answer),
    )
    expect(echoed.filter((answer) => secretsIn(answer, given).length > 0)).toEqual([])
  })

  it('prints its configuration without them', async () => {
    const { cwd, env } = await prepare()
    const printed = await spawnSluice({ cwd, env, args: ['--print-config'] })
    expect(await printed.exited).toBe(0)
    expect(printed.output().stdout).toContain('issuer: i')
    expect(secretsIn(JSON.stringify(printed.output()))).toEqual([])
  })

  it.each<[string, (yaml: string) => string, Record<string, string>]>([
    ['YAML that ends early', (yaml) => `${yaml}\nport: [`, {}],
    ['YAML without a space', () => `keys:\n  - { name: a, key:${SECRETS.keyInFile} }`, {}],
    ['a key in place of a list', () => `keys: ${SECRETS.keyInFile}`, {}],
    ['keys by name', () => `keys: { ${SECRETS.keyInFile}: app, app: ${SECRETS.keyInFile} }`, {}],
    ['a password in a base URL', (yaml) => yaml.replace('127.0.0.1:9', `user:${SECRETS.queryKey}@127.0.0.1:9`), {}],
    ['a key that is a number', () => `keys: [{ name: a, key: 1234567890123 }]`, {}],
    ['a secret that is too short', (yaml) => yaml.replace(SECRETS.jwtSecret, 'too-short-6p7q8r'), {}],
    ['a key that is no PEM', (yaml) => yaml.replace('secret: jwt', 'publicKey: jwt'), {}],
    ['a provider without its type', (yaml) => yaml.replace(/type: openai/g, 'type: x'), {}],
    ['a plugin that throws', (yaml) => yaml.replace('plugin.js', 'missing.js'), {}],
    ['SLUICE_KEYS without names', () => '', { SLUICE_KEYS: SECRETS.keyInEnvironment }],
    ['SLUICE_KEYS with a bad name', () => '', { SLUICE_KEYS: `a b:${SECRETS.keyInEnvironment}` }],
    ['SLUICE_KEYS turned round', () => '', { SLUICE_KEYS: `${SECRETS.keyInEnvironment}/x:name` }],
    ['a name that is taken', (yaml) => yaml, { SLUICE_KEYS: `file:${SECRETS.keyInEnvironment}` }],
    ['a base URL that is none', (yaml) => yaml, { OPENAI_BASE_URL: `no-url-${SECRETS.queryKey}` }],
  ])('refuses %s without quoting one', async (_, change, more) => {
    const { cwd, env } = await prepare()
    const upstream = env.OPENAI_BASE_URL
    const folder = await makeFolder({
      'sluice.yaml': change(yamlOf(upstream)),
      'plugin.js': PLUGIN,
      'package.json': '{"type":"module"}',
    })
    expect(cwd).not.toBe(folder)
    const refused = await spawnSluice({ cwd: folder, env: { ...env, ...more } })
    expect(await refused.exited).toBe(1)
    const { stdout, stderr } = refused.output()
    expect(stderr).toMatch(/^sluice: /)
    expect(secretsIn(stdout + stderr, ['too-short-6p7q8r', '1234567890123'])).toEqual([])
  })
})
