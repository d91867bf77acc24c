import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext } from 'playwright-core'
import { BROWSER_ARGUMENTS } from './chromium.ts'

/**
 * Chromium as people have it: one window whose tabs hide each other, and that sleep when they are hidden. In the browser
 * that Playwright starts every page is told that it is looked at.
 */
export async function launchTabs(executablePath: string): Promise<{ context: BrowserContext; close(): Promise<void> }> {
  const profile = await mkdtemp(join(tmpdir(), 'sluice-test-'))
  const args = [
    ...BROWSER_ARGUMENTS,
    '--headless',
    '--remote-debugging-port=0',
    `--user-data-dir=${profile}`,
    'about:blank',
  ]
  const program = spawn(executablePath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = new Promise<void>((resolve) => program.on('close', () => resolve()))
  async function close(): Promise<void> {
    program.kill()
    await exited
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
  const endpoint = await new Promise<string>((resolve, reject) => {
    let output = ''
    program.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const [, url] = /DevTools listening on (ws:\S+)\n/.exec(output) ?? []
      if (url) resolve(url)
    })
    program.on('close', () => reject(new Error(`Chromium ended: ${output}`)))
  })
  const [context] = (await chromium.connectOverCDP(endpoint, { noDefaults: true })).contexts()
  if (!context) throw new Error('Chromium has no window.')
  return { context, close }
}
