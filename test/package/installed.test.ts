import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { install, packBoth, pinned } from '../support/packed.ts'
import { ROOT } from '../support/process.ts'
import { open } from '../support/reader.ts'

const run = promisify(execFile)

/** npm is slow on a machine that is busy with other tests. */
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const cleanUps: (() => Promise<void>)[] = []
const atEnd = (cleanUp: () => Promise<void>) => void cleanUps.push(cleanUp)

/** A folder outside the checkout, with both packages as somebody installs them. */
let folder: string

beforeAll(async () => {
  const { sluice, client } = await packBoth(atEnd)
  const beside = await pinned('koa', 'react', 'react-dom', '@types/node', '@types/react', '@types/react-dom')
  folder = await install([sluice, client, ...beside], atEnd)
})
afterAll(() => Promise.all(cleanUps.map((cleanUp) => cleanUp())))

/** A folder in the one with the packages, with these files. */
async function project(name: string, files: Record<string, string>): Promise<string> {
  const path = join(folder, name)
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, file)), { recursive: true })
    await writeFile(join(path, file), text)
  }
  return path
}

describe('in Node', () => {
  it.each(['@sluice/client', 'sluice/client'])('a script reads a stream by %s', async (client) => {
    const { url } = await startGateway()
    const cwd = await project(`script-${client.length}`, {
      'main.mjs': `
        import { createClient } from '${client}'
        const stream = createClient({ baseUrl: '${url}' }).chat({ messages: [{ role: 'user', content: 'hi' }], mock: { text: 'a b c' } })
        const { message, finish_reason } = await stream.final()
        console.log(message.content, finish_reason)`,
    })
    expect((await run(process.execPath, ['main.mjs'], { cwd })).stdout).toBe('a b c stop\n')
  })

  it('CommonJS requires every entry', async () => {
    const cwd = await project('common', {
      'main.cjs': `
        const entries = ['sluice', 'sluice/client', 'sluice/client/message', 'sluice/react', 'sluice/sse',
          '@sluice/client', '@sluice/client/message', '@sluice/client/react']
        for (const entry of entries) console.log(entry, Object.keys(require(entry)).sort().join())`,
    })
    const { stdout } = await run(process.execPath, ['main.cjs'], { cwd })
    expect(stdout.trim().split('\n')).toEqual([
      'sluice ConfigError,ProviderError,SluiceError,createGateway,defineProvider,loadConfig',
      'sluice/client SluiceClientError,createClient',
      'sluice/client/message collectMessage',
      'sluice/react useSluiceStream',
      'sluice/sse EventDecoder,EventTooLargeError,encodeComment,encodeEvent,encodeJson,eventStream',
      '@sluice/client SluiceClientError,createClient',
      '@sluice/client/message collectMessage',
      '@sluice/client/react useSluiceStream',
    ])
  })

  it('a Koa app sends events', async () => {
    const cwd = await project('koa-app', {
      'main.mjs': `
        import Koa from 'koa'
        import { eventStream } from 'sluice/sse'
        const app = new Koa()
        app.use((ctx) => eventStream(ctx, async function* () {
          yield { id: 1, data: { celsius: 20 } }
          yield { event: 'end', last: true }
        }))
        const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))`,
    })
    const app = spawn(process.execPath, ['main.mjs'], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void app.kill())
    const [port] = (await once(createInterface(app.stdout), 'line')) as [string]
    const { messages } = await (await open(`http://127.0.0.1:${port}/`)).end()
    expect(messages.map(({ event, data }) => [event, data])).toEqual([
      [undefined, '{"celsius":20}'],
      ['end', ''],
    ])
  })
})

describe('in TypeScript, with the types of libraries checked', () => {
  const SERVER = `
    import Koa from 'koa'
    import { createGateway, defineProvider, loadConfig, ProviderError } from 'sluice'
    import { eventStream, type SourceFunction } from 'sluice/sse'
    const ticks: SourceFunction = async function* (signal, lastEventId) {
      if (!signal.aborted) yield { id: Number(lastEventId) + 1, data: { a: 1 } }
    }
    export const app = new Koa().use((ctx) => eventStream(ctx, ticks))
    export const provider = defineProvider({
      name: 'echo',
      async *stream({ messages }) {
        if (messages.length === 0) throw new ProviderError({ code: 'upstream_rate_limited', message: 'no' })
        yield { type: 'done', finish_reason: 'stop' }
      },
    })
    export const gateway = await createGateway(loadConfig({ environment: {} }))`
  const PAGE = `
    import { createClient, SluiceClientError, type ChatEvent } from '@sluice/client'
    import { collectMessage } from '@sluice/client/message'
    import { useSluiceStream } from '@sluice/client/react'
    export const client = createClient()
    export async function read(events: ChatEvent[] = []): Promise<string> {
      try {
        for await (const event of client.chat({ messages: [] })) events.push(event)
      } catch (error) {
        if (error instanceof SluiceClientError) return error.code
      }
      return String(collectMessage(events).content)
    }
    export const useStatus = (): string => useSluiceStream(client).status`
  const STRICT = { strict: true, noEmit: true, skipLibCheck: false, target: 'es2022' }

  it.each([
    ['node16', { module: 'node16' }],
    ['bundler', { module: 'esnext', moduleResolution: 'bundler' }],
  ])('%s', async (name, options) => {
    const cwd = await project(`types-${name}`, {
      'package.json': '{ "type": "module" }',
      'server.ts': SERVER,
      'page.ts': PAGE,
      'tsconfig.json': JSON.stringify({
        compilerOptions: { ...STRICT, ...options, lib: ['es2023', 'dom', 'dom.iterable'], types: ['node'] },
      }),
    })
    await expect(run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd })).resolves.toMatchObject({ stdout: '' })
  })

  it('a page without the types of Node', async () => {
    const options = { module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom', 'dom.iterable'], types: [] }
    const cwd = await project('types-page', {
      'page.ts': PAGE,
      'tsconfig.json': JSON.stringify({ compilerOptions: { ...STRICT, ...options } }),
    })
    await expect(run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd })).resolves.toMatchObject({ stdout: '' })
  })
})

describe('in a bundle', () => {
  async function bundle(source: string): Promise<string> {
    const { outputFiles } = await build({
      stdin: { contents: source, resolveDir: folder },
      bundle: true,
      minify: true,
      format: 'esm',
      external: ['react'],
      logLevel: 'error',
      write: false,
    })
    return outputFiles[0]?.text ?? ''
  }

  it.each(['sluice/client', '@sluice/client'])('%s leaves nothing of what is not used', async (client) => {
    expect(await bundle(`import '${client}'`)).toBe('')
    const error = await bundle(`import { SluiceClientError } from '${client}'; console.log(SluiceClientError)`)
    expect(error.length).toBeLessThan(500)
  })

  it('a Vite app builds with the client and its React hook, and loads the rules of whole messages later', async () => {
    const cwd = await project('vite-app', {
      'index.html': '<!doctype html><div id="root"></div><script type="module" src="/main.js"></script>',
      'main.js': `
        import { createElement } from 'react'
        import { createRoot } from 'react-dom/client'
        import { createClient } from '@sluice/client'
        import { useSluiceStream } from '@sluice/client/react'
        const client = createClient()
        const App = () => createElement('p', null, useSluiceStream(client).status)
        createRoot(document.getElementById('root')).render(createElement(App))`,
    })
    await run(process.execPath, [join(ROOT, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn'], { cwd })
    const assets = (await readdir(join(cwd, 'dist/assets'))).filter((name) => name.endsWith('.js'))
    expect(assets.map((name) => name.replace(/-.*/, '')).toSorted()).toEqual(['index', 'message'])
    const message = assets.find((name) => name.startsWith('message')) ?? ''
    expect(gzipSync(await readFile(join(cwd, 'dist/assets', message))).length).toBeLessThan(3000)
  })
})
