import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { loadConfig } from '../src/config.ts'
import { createGateway } from '../src/gateway.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { findProgram } from '../test/support/programs.ts'

/** Takes the pictures of the README: `npm run screenshots`. */

const DESKTOP = { width: 1280, height: 800 }
const PHONE = { width: 390, height: 844 }

/** What anybody may do with a stream: cut it, let another reader in; to its end, or nearly. */
async function play(page: Page, running: boolean): Promise<void> {
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  const events = (least: number) =>
    page.waitForFunction(`Number(document.querySelectorAll('#figures dd')[2].textContent) >= ${least}`)
  await page.locator('#status .state').waitFor()
  await button('Mock settings').click()
  await button('Markdown').click()
  await page.getByLabel('interval_ms').fill('80')
  await button('Mock settings').click()
  await page.getByLabel('Message', { exact: true }).fill('How do I read a stream?')
  await page.keyboard.press('Enter')
  await events(20)
  await button('Cut').click()
  await page.locator('#frames .merged').first().waitFor()
  await events(50)
  await button('Second reader').click()
  if (running) await events(90)
  else await page.locator('#frames .second.done').waitFor()
}

async function main(): Promise<void> {
  const executablePath = findProgram('chromium')
  if (!executablePath) throw new Error('chromium is not installed')
  const gateway = await createGateway({ ...loadConfig(), port: 0, drainMs: 0 }, { logger: createLogger('silent') })
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  try {
    const url = await gateway.start()
    for (const [name, colorScheme, viewport] of [
      ['light', 'light', DESKTOP],
      ['dark', 'dark', DESKTOP],
      ['phone', 'light', PHONE],
    ] as const) {
      const isPhone = viewport === PHONE
      const context = await browser.newContext({
        colorScheme,
        viewport,
        isMobile: isPhone,
        // The page forbids to evaluate a string, as waiting for a condition does.
        bypassCSP: true,
        deviceScaleFactor: isPhone ? 1.4 : 1.25,
      })
      const page = await context.newPage()
      await page.goto(url)
      await play(page, name === 'dark')
      await page.mouse.move(0, 0)
      await page.evaluate('document.activeElement.blur()')
      const path = fileURLToPath(new URL(`playground-${name}.png`, import.meta.url))
      await page.screenshot({ path, fullPage: isPhone })
      await context.close()
    }
  } finally {
    await browser.close()
    await gateway.drain()
  }
}

await main()
