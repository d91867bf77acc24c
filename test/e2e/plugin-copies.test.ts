import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { makeFolder, ROOT, startSluice } from '../support/process.ts'
import { open } from '../support/reader.ts'

/**
 * Throws what the request lists, one error an attempt, and then answers. It knows a request by its text, and tells how
 * many attempts there were, with which keys.
 */
const plugin = (sluice: string) => `
import { defineProvider, ProviderError } from '${sluice}'
const attempts = new Map()
export default defineProvider({
  name: 'plugin',
  async *stream({ messages: [{ content }] }, { apiKey }) {
    const { errors } = JSON.parse(content)
    const keys = attempts.get(content) ?? []
    attempts.set(content, keys)
    const attempt = keys.push(apiKey)
    if (attempt <= errors.length) throw new ProviderError(errors[attempt - 1])
    yield { type: 'delta', content: 'attempt ' + attempt + ' with ' + keys.sort() }
    yield { type: 'done', finish_reason: 'stop' }
  },
})`

/** A folder with a plugin whose `import 'sluice'` finds a copy of the package that is not the gateway's. */
async function makeCopy(): Promise<string> {
  const folder = await makeFolder()
  const copy = join(folder, 'node_modules/sluice')
  await mkdir(copy, { recursive: true })
  await cp(join(ROOT, 'package.json'), join(copy, 'package.json'))
  await cp(join(ROOT, 'dist'), join(copy, 'dist'), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  return folder
}

const error = (code: string, more: Record<string, unknown> = {}) => ({ code, message: `It is ${code}.`, ...more })

const requests: Record<string, { model: string; errors: unknown[] }> = {
  'a retry': { model: 'patient', errors: [error('upstream_unavailable')] },
  'a retry that is asked for': { model: 'patient', errors: [error('upstream_not_found', { retryable: true })] },
  'a retry after a while': { model: 'patient', errors: [error('upstream_error', { retryAfter: 0.01 })] },
  'a wait that is too long': { model: 'patient', errors: [error('upstream_error', { retryAfter: 60 })] },
  'no retry where none makes sense': { model: 'patient', errors: [error('upstream_error', { retryable: false })] },
  "the request's own fault": {
    model: 'patient',
    errors: [error('upstream_rejected', { upstreamStatus: 422, faults: [{ path: 'model', message: 'is old' }] })],
  },
  'another key': { model: 'rich', errors: [error('upstream_auth', { retryable: true })] },
  'a limited key': { model: 'rich', errors: [error('upstream_rate_limited', { retryAfter: 60 })] },
  'a fallback': { model: 'falling', errors: [error('upstream_not_found')] },
  'a failure of the target': { model: 'fragile', errors: [error('upstream_unavailable')] },
  'another failure of the target': { model: 'fragile', errors: [error('upstream_auth')] },
  'its open breaker': { model: 'fragile', errors: [] },
}

/** What comes of each request, and the metrics of the attempts. */
async function outcomes(cwd: string, sluice: string): Promise<unknown> {
  await writeFile(join(cwd, 'plugin.mjs'), plugin(sluice))
  const module = { module: './plugin.mjs', models: ['m'] }
  const mock = { text: 'fallback', interval_ms: 0 }
  const settings = {
    providers: {
      plugin: module,
      keyed: { ...module, apiKey: ['one', 'two'] },
      brittle: module,
      mock: { type: 'mock', models: ['m'] },
    },
    models: {
      patient: 'plugin/m',
      rich: 'keyed/m',
      falling: [{ target: 'plugin/m', retries: 0 }, 'mock/m'],
      fragile: { target: 'brittle/m', retries: 0 },
    },
    breaker: { failures: 2 },
  }
  await writeFile(join(cwd, 'sluice.yaml'), JSON.stringify(settings))
  const { url } = await startSluice({ cwd })
  const seen: Record<string, unknown> = {}
  for (const [what, { model, errors }] of Object.entries(requests)) {
    const body = { model, mock, messages: [{ role: 'user', content: JSON.stringify({ what, errors }) }] }
    const reader = await (await open(`${url}/v1/chat/completions`, { method: 'POST', body })).end()
    const { choices, error: failure } = reader.json as { choices?: { message: unknown }[]; error?: unknown }
    const { 'retry-after': retryAfter, 'sluice-attempts': attempts, 'x-should-retry': retryable } = reader.headers
    seen[what] = { status: reader.status, said: choices?.[0]?.message, failure, retryAfter, attempts, retryable }
  }
  const metrics = await (await open(`${url}/metrics`)).end()
  const counts = metrics.body.split('\n').filter((line) => /^sluice_(upstream|breakers)_.* [^0]/.test(line))
  return { seen, counts }
}

it("errors of a plugin's own copy of the package are treated as those of the gateway's", async () => {
  const ours = await outcomes(await makeFolder(), pathToFileURL(join(ROOT, 'dist/src/index.js')).href)
  const theirs = await outcomes(await makeCopy(), 'sluice')
  expect(theirs).toEqual(ours)
  expect(ours).toMatchObject({
    seen: {
      'a retry': { said: { content: 'attempt 2 with ,' } },
      'a retry that is asked for': { said: { content: 'attempt 2 with ,' } },
      'a retry after a while': { said: { content: 'attempt 2 with ,' } },
      'a wait that is too long': { status: 502, retryAfter: '60', failure: { message: 'It is upstream_error.' } },
      'no retry where none makes sense': { status: 502, retryable: 'false', attempts: '1' },
      "the request's own fault": { status: 422, failure: { code: 'upstream_rejected', param: 'model' } },
      'another key': { said: { content: 'attempt 2 with one,two' } },
      'a limited key': { said: { content: 'attempt 2 with one,two' } },
      'a fallback': { said: { content: 'fallback' }, attempts: '2' },
      'a failure of the target': { status: 503, failure: { code: 'upstream_unavailable' } },
      'its open breaker': { status: 503, failure: { message: expect.stringContaining('left alone') } },
    },
    counts: expect.arrayContaining(['sluice_breakers_open{provider="brittle"} 1']),
  })
})
