import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { openPage } from '../../support/chromium.ts'
import type { OpenedClient, ReaderKind, Report } from './reader-kind.ts'

/** The icon keeps the browser from asking for one. */
const page = (script: string) => `<!doctype html>
  <meta charset="utf-8" />
  <link rel="icon" href="data:," />
  <script>
    ${script}
    const readings = []
    function read(reading, target) {
      readings[reading] = client.read(target, (heard) => report({ ...heard, reading }))
    }
  </script>`

/** A client, a file of `clients`, that runs in a page; `onPage` is for those who do more with it. */
export function inPage(
  program: string,
  client: string,
  onPage: (page: Page) => void = () => {},
): Pick<ReaderKind, 'page' | 'open'> {
  let bundled: Promise<string> | undefined
  return {
    page: async () => page(await (bundled ??= bundle(client))),
    async open(url): Promise<OpenedClient> {
      const opened = await openPage<Report>(program, url)
      expectNothingThrown(opened.page)
      onPage(opened.page)
      return {
        reports: opened.reports,
        read: (reading, target) => opened.page.evaluate(`read(${reading}, ${JSON.stringify(target)})`),
        close: (reading) => opened.page.evaluate(`readings[${reading}]()`),
      }
    },
  }
}

async function bundle(client: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [new URL(`clients/${client}.ts`, import.meta.url).pathname],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    globalName: 'client',
    write: false,
  })
  return outputFiles[0]!.text
}

/** What some of them log is their own affair. */
function expectNothingThrown(opened: Page): void {
  const errors: string[] = []
  opened.on('pageerror', (error) => errors.push(String(error)))
  onTestFinished(() => expect(errors).toEqual([]))
}
