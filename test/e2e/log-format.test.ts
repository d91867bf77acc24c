import { execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { logged, makeFolder, ROOT, spawnSluice, startSluice } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'

const ESC = '\u001b'
const MAIN = join(ROOT, 'dist/src/main.js')

describe('a log that no terminal shows', () => {
  it('is JSON', async () => {
    const sluice = await startSluice()
    expect(await logged(sluice, 'listening')).toMatchObject({ level: 'info', url: sluice.url })
  })

  it('is text without colours where LOG_FORMAT=pretty, down to the last line', async () => {
    const sluice = await spawnSluice({ env: { LOG_FORMAT: 'pretty' } })
    await expect.poll(() => sluice.output().stdout).toContain('listening')
    sluice.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
    const lines = sluice.output().stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: listening \{"url":"http:.*\}$/)
    expect(lines.at(-1)).toMatch(/INFO: stopped$/)
  })
})

describeWith('script', 'a log in a terminal', (script) => {
  /** Everything that a terminal shows of the program until it listens. */
  async function shown(env: Record<string, string>): Promise<string> {
    const child = spawn(script, ['-qec', `echo pid $$; exec ${process.execPath} ${MAIN}`, '/dev/null'], {
      cwd: await makeFolder(),
      env: { PATH: process.env.PATH, TERM: 'xterm', PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const exited = new Promise((resolve) => child.on('close', resolve))
    let output = ''
    onTestFinished(async () => {
      // Its end hangs up on the program, which only reloads then.
      const [, pid] = /pid (\d+)/.exec(output) ?? []
      if (pid) process.kill(Number(pid), 'SIGTERM')
      else child.kill('SIGTERM')
      await exited
    })
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    await expect.poll(() => output, { timeout: 20_000 }).toContain('listening')
    return output
  }

  it('is text for people', async () => {
    expect(await shown({})).toContain(`] ${ESC}[32mINFO${ESC}[39m: ${ESC}[36mlistening`)
  })

  it('is JSON where LOG_FORMAT=json', async () => {
    expect(await shown({ LOG_FORMAT: 'json' })).toMatch(/^\{"level":"info".*"msg":"listening"\}\r?$/m)
  })
})

it.each([
  ['json', false],
  ['pretty', true],
])('a %s log loads pino-pretty: %s', (logFormat, loads) => {
  const logger = pathToFileURL(join(ROOT, 'dist/src/telemetry/logger.js')).href
  const code = `import(${JSON.stringify(logger)}).then(({ createStandardLogger }) => {
    createStandardLogger({ logLevel: 'info', logFormat: '${logFormat}' })
    process.stdout.write(String(Object.keys(require.cache).some((path) => path.includes('pino-pretty'))))
  })`
  expect(execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' })).toBe(String(loads))
})
