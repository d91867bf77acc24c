import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { makeFolder, ROOT, spawnSluice, type SluiceOptions } from '../support/process.ts'
import { quietPort } from '../support/quiet-port.ts'
import { startUpstream } from '../support/upstream.ts'

async function run(args: string[], options: Omit<SluiceOptions, 'args'> = {}) {
  const sluice = await spawnSluice({ ...options, args })
  return { code: await sluice.exited, ...sluice.output() }
}

async function check(yaml: string, env: Record<string, string> = {}, ...args: string[]) {
  return run(['check', ...args], { env, cwd: await makeFolder({ 'sluice.yaml': yaml }) })
}

it('--version prints the version of the package', async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
})

it.each([
  [['chek'], 'sluice: chek: is not a command; did you mean "check"?\n'],
  [['key'], 'sluice: key: is not a command; there are "check", "schema", "key create"\n'],
  [['--online'], 'sluice: --online: belongs to "sluice check"\n'],
])('a command line that means nothing is told what there is: %j', async (args, stderr) => {
  expect(await run(args)).toEqual({ code: 1, stdout: '', stderr })
})

describe('sluice check', () => {
  it('prints what the gateway would do, without a secret', async () => {
    const { code, stdout, stderr } = await check(
      `
port: 9000
adminPort: 9001
keys: [{ name: app, key: sk-marker, scopes: [chat] }]
providers:
  openai: { type: openai, apiKey: [sk-marker, sk-other-marker] }
  local: { type: openai, baseUrl: "http://localhost:11434/v1?key=marker", models: [llama] }
models: { smart: [{ target: openai/gpt-5 }, local/llama] }
`,
      { PORT: '' },
    )
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).not.toContain('marker')
    expect(stdout).toBe(`The configuration has no faults.

Listens on    http://127.0.0.1:9000, for this machine only
              http://127.0.0.1:9001, for this machine only, for operators
Callers       app: chat
Providers     openai: openai at https://api.openai.com/v1; 2 keys; any model
              local: openai at http://localhost:11434/v1?key=********; no keys; llama
Models        smart: openai/gpt-5, local/llama
Other names   go to openai
No model      is refused (DEFAULT_MODEL is not set)
`)
  })

  it('prints every fault, and ends with 1', async () => {
    const { code, stdout, stderr } = await check('ports: 80\nlogLevel: loud')
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toBe(
      `sluice: logLevel: expected fatal, error, warn, info, debug, trace or silent (given: "loud")
ports: there is no such setting; did you mean "port"?
`,
    )
  })

  it.each([
    ['a certificate', 'tlsCert: /none.pem\ntlsKey: /none.pem', 'TLS_CERT: /none.pem cannot be read'],
    ['a module', 'providers: { a: { module: ./none.mjs } }', 'providers.a.module: ./none.mjs cannot be loaded'],
    ['the key of an issuer', 'jwt: { issuer: i, audience: a, publicKey: none }', 'jwt.publicKey'],
  ])('finds what a start would find: %s', async (_, yaml, words) => {
    const { code, stderr } = await check(yaml)
    expect([code, stderr]).toEqual([1, expect.stringContaining(words)])
    expect(stderr).not.toContain('\n    at ')
  })

  it('asks each upstream for its models with --online, and tells why one does not answer', async () => {
    const upstream = await startUpstream((response, { path }) => {
      response.writeHead(path === '/v1/models' ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'a' }, { id: 'b' }] }))
    })
    const port = quietPort()
    const good = `good: { type: openai, baseUrl: "${upstream.url}/v1" }`
    const answered = await check(`providers: { ${good}, mock: { type: mock } }`, {}, '--online')
    expect(answered.code).toBe(0)
    expect(answered.stdout).toContain('good: answers, with 2 models\n')
    expect(answered.stdout).toContain('mock: not asked, it lists no models\n')

    const bad = `bare: { type: openai, baseUrl: "${upstream.url}" }, dead: { type: openai, baseUrl: "http://127.0.0.1:${port}/v1" }`
    const failed = await check(`providers: { ${good}, ${bad} }`, {}, '--online')
    expect(failed.code).toBe(1)
    expect(failed.stdout).toContain(`(HTTP 404); does baseUrl lack "/v1"? It is ${upstream.url}\n`)
    expect(failed.stdout).toMatch(new RegExp(`dead: .*ECONNREFUSED 127.0.0.1:${port}`))
  })
})

describe('the JSON schema of sluice.yaml', () => {
  const compile = async () => {
    const schema: unknown = JSON.parse(await readFile(join(ROOT, 'dist/sluice.schema.json'), 'utf8'))
    const validate = new Ajv2020({ strict: false, allErrors: true, validateFormats: false }).compile(schema as object)
    return (text: string) => (validate(parse(text)) ? [] : validate.errors!.map(({ instancePath }) => instancePath))
  }

  it('that is shipped is what "sluice schema" prints', async () => {
    const { code, stdout } = await run(['schema'])
    expect(code).toBe(0)
    expect(stdout).toBe(await readFile(join(ROOT, 'dist/sluice.schema.json'), 'utf8'))
  })

  it('accepts every sluice.yaml of the documentation, and names what it knows', async () => {
    const faultsOf = await compile()
    const inDocs = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'))
    const pages = ['README.md', 'deploy/README.md', ...inDocs.map((name) => `docs/${name}`)]
    const examples: string[] = []
    for (const page of pages) {
      const text = await readFile(join(ROOT, page), 'utf8')
      for (const [, yaml = ''] of text.matchAll(/```yaml\n([\s\S]*?)```/g))
        if (/^(providers|models|keys|limits|prices|jwt):/m.test(yaml))
          examples.push(yaml.replace(/sha256:…/g, `sha256:${'0'.repeat(64)}`))
    }
    expect(examples.length).toBeGreaterThan(3)
    for (const example of examples) expect({ example, faults: faultsOf(example) }).toEqual({ example, faults: [] })
  })

  it.each<[fault: string, yaml: string]>([
    ['', 'provders: {}'],
    ['/port', 'port: eighty'],
    ['/logLevel', 'logLevel: loud'],
    ['/keys/0', 'keys: [{ key: k }]'],
    ['/providers/a', 'providers: { a: { type: openai, apiKye: k } }'],
  ])('finds a fault at "%s": %s', async (fault, yaml) => {
    expect((await compile())(yaml)).toContain(fault)
  })

  it('accepts ${NAME} for any setting', async () => {
    const faultsOf = await compile()
    expect(faultsOf('port: "${PORT:-8080}"\nlogLevel: ${LEVEL}\nworkers: ${WORKERS}\nmodelsOnly: ${ONLY}')).toEqual([])
  })
})
