import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { providerConfigSchema } from '../../providers/options.ts'
import { ERROR_CODES, SluiceError, type ErrorCode } from '../../src/errors.ts'
import { loadConfig } from '../../src/config.ts'
import { createGateway } from '../../src/gateway.ts'
import { listRoutes } from '../../src/http/routes.ts'
import { KEYS_VARIABLE, LASTING_SETTINGS, PROVIDER_VARIABLES, settings, variableName } from '../../src/settings.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { codeIn, pages, rowsOf, sectionOf, textOf } from '../support/pages.ts'

const VARIABLES: ReadonlySet<string> = new Set([
  ...Object.keys(settings).map(variableName),
  KEYS_VARIABLE,
  ...Object.values(PROVIDER_VARIABLES).flatMap((variables) => Object.values(variables)),
])

describe('the settings in docs/operations.md', () => {
  const rows = rowsOf(sectionOf(textOf('docs/operations.md'), 'All settings'))

  it('are all, and no others', () => {
    const documented = rows.flatMap(([name = '']) => codeIn(name))
    expect(documented.toSorted()).toEqual([...VARIABLES].toSorted())
  })

  it.each(Object.entries(settings))('have the default and the meaning of %s that `--help` prints', (name, schema) => {
    const [, cell = '', meaning = ''] = rows.find(([first]) => first === `\`${variableName(name)}\``) ?? []
    if (name === 'storeMaxBytes') {
      expect(schema.description).toBe(`${meaning}; by default ${cell}`)
      return
    }
    expect(meaning).toBe(schema.description)
    const [value] = codeIn(cell)
    expect(value === undefined ? cell : '–').toBe('–')
    expect(schema.parse(value)).toEqual(schema.parse(undefined))
    const hasDefault = ![undefined, '', '[]'].includes(JSON.stringify(schema.parse(undefined) ?? '')?.replace('""', ''))
    expect([name, value !== undefined]).toEqual([name, hasDefault])
  })
})

it('docs/operations.md says which settings need a restart', () => {
  const section = sectionOf(textOf('docs/operations.md'), 'Changing the configuration without a restart: SIGHUP')
  const rows = rowsOf(section)
  const lasting = LASTING_SETTINGS.map(variableName)
  expect(rows.flatMap(([, cell = '']) => codeIn(cell)).toSorted()).toEqual(lasting.toSorted())
  expect(rows.flatMap(([cell = '']) => codeIn(cell)).filter((name) => lasting.includes(name))).toEqual([])
})

/** Variables of Node, of tests, of benches and of readers' own. */
const OTHERS =
  /^(HTTPS_PROXY|HTTP_PROXY|NO_PROXY|NODE_EXTRA_CA_CERTS|NODE_OPTIONS|SLUICE_(KEY|URL)|LLM_(URL|KEY)|GROQ_API_KEY|OPENAI_KEY_[AB]|MY_KEY|OTEL_\w+|TEST_STORE|(FUZZ|SOAK)_\w+|PEER_\w+|UPPER_CASE)$/

it('the pages name no setting that does not exist', () => {
  const named = pages
    .filter(({ path }) => !path.startsWith('test/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`/g)].map(([, name = '']) => [path, name]),
    )
  expect(named.length).toBeGreaterThan(100)
  // Codes of operating systems and of libraries have underscores, too.
  const unknown = named.filter(
    ([, name = '']) => !VARIABLES.has(name) && !OTHERS.test(name) && !/^(ERR|CERT)_/.test(name),
  )
  expect(unknown).toEqual([])
})

describe('docs/monitoring.md', () => {
  const text = textOf('docs/monitoring.md')
  // Those of workers are added up where the workers are started.
  const OF_WORKERS = ['workers', 'worker_restarts_total']
  const names = new Metrics().registry
    .getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => name.startsWith('sluice_'))
    .map((name) => name.slice('sluice_'.length))

  it('names every metric, and no other', () => {
    const documented = rowsOf(sectionOf(text, 'Metrics')).flatMap(([, cell = '']) => codeIn(cell))
    const ours = documented.filter((name) => !/…$|^WORKERS$/.test(name))
    expect(ours.toSorted()).toEqual([...names, ...OF_WORKERS].toSorted())
  })

  it('says to watch metrics that there are', () => {
    const watched = rowsOf(sectionOf(text, 'What to watch')).flatMap(([, cell = '']) => codeIn(cell))
    expect(watched.length).toBeGreaterThan(15)
    const unknown = watched
      .map((name) => name.replace(/\{.*/, ''))
      .filter((name) => !names.includes(name) && !name.startsWith('process_'))
    expect(unknown).toEqual([])
  })
})

describe('docs/protocol.md', () => {
  const text = textOf('docs/protocol.md')

  it('has every route, and no other', async () => {
    const gateway = await createGateway({ ...loadConfig(), port: 0 }, { logger: createLogger('silent') })
    const routes = listRoutes(gateway.services).map(({ method, path }) => `${method.toUpperCase()} ${path}`)
    await gateway.drain()
    const documented = rowsOf(sectionOf(text, 'All routes')).flatMap(([cell = '']) => readRequests(cell))
    // The playground's files are parts of a page.
    const named = routes.filter((route) => !route.endsWith('/:file'))
    expect(documented.toSorted()).toEqual(named.map(normalize).toSorted())
  })

  it('has every error code with its status, and whether to retry', () => {
    const rows = rowsOf(sectionOf(text, 'Errors')).map(([code, status, retryable]) =>
      [code, status, retryable].join(' '),
    )
    const errors = ERROR_CODES.map((code: ErrorCode) => new SluiceError(code, ''))
    const expected = errors.map(({ code, status, retryable }) => `\`${code}\` ${status} ${retryable ? 'yes' : 'no'}`)
    expect(rows.toSorted()).toEqual(expected.toSorted())
  })
})

/** `GET`, `DELETE /v1/streams/{id}` → both, with the path; a path without a method has the one before it. */
function readRequests(cell: string): string[] {
  const requests: string[] = []
  let methods: string[] = []
  let hasPath = false
  for (const code of codeIn(cell)) {
    const [, method, path] = /^([A-Z]+)? ?(\/.*)?$/.exec(code) ?? []
    if (method) methods = hasPath ? [method] : [...methods, method]
    hasPath = path !== undefined
    if (path) requests.push(...methods.map((each) => normalize(`${each} ${path}`)))
  }
  return requests
}

/** The names of parameters are for readers. */
function normalize(route: string): string {
  return route.replaceAll(/\{\*?\w+\}|:\w+/g, '*')
}

describe('docs/providers.md', () => {
  const rows = rowsOf(sectionOf(textOf('docs/providers.md'), 'Entries of `providers`'))
  const { anyOf, oneOf = anyOf } = z.toJSONSchema(providerConfigSchema, { io: 'input', unrepresentable: 'any' })
  const types = (oneOf ?? []).map((entry) => {
    const { properties } = z
      .object({ properties: z.record(z.string(), z.object({ const: z.unknown() }).partial()) })
      .parse(entry)
    return [String(properties.type?.const), Object.keys(properties)] as const
  })

  it('knows every type', () => {
    expect(types.map(([type]) => type).toSorted()).toEqual(['anthropic', 'mock', 'module', 'openai'])
  })

  it.each(types)('has every option of the type %s, and no other', (type, options) => {
    const of = rows.filter(([, cell = '']) => cell === 'all' || codeIn(cell).includes(type))
    expect(of.flatMap(([name = '']) => codeIn(name)).toSorted()).toEqual(options.toSorted())
  })
})
