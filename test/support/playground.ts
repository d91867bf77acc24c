import { chromium, type BrowserContextOptions, type Locator, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import type { Config } from '../../src/config.ts'
import { BROWSER_ARGUMENTS } from './chromium.ts'
import { startGateway, type TestGateway } from './gateway.ts'
import { ScriptedProvider, type Run } from './scripted-provider.ts'

/** The playground in a browser, and the gateway behind it. */
export class PlaygroundPage {
  readonly page: Page
  readonly gateway: TestGateway
  readonly #provider: ScriptedProvider
  /** What the browser complained of, and what it asked of others than the gateway. */
  readonly complaints: string[] = []

  private constructor(page: Page, gateway: TestGateway, provider: ScriptedProvider) {
    this.page = page
    this.gateway = gateway
    this.#provider = provider
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text())
    })
    page.on('pageerror', (error) => this.complaints.push(String(error)))
    page.on('request', (request) => {
      if (!request.url().startsWith(`${gateway.url}/`)) this.complaints.push(`asked for ${request.url()}`)
    })
  }

  static async open(
    executablePath: string,
    { settings = {}, context = {} }: { settings?: Partial<Config>; context?: BrowserContextOptions } = {},
  ): Promise<PlaygroundPage> {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(settings, { providers: [provider] })
    const browser = await chromium.launch({ executablePath, args: BROWSER_ARGUMENTS })
    onTestFinished(() => browser.close())
    const playground = new PlaygroundPage(await (await browser.newContext(context)).newPage(), gateway, provider)
    await playground.page.goto(gateway.url)
    if (gateway.services.authenticator.isOpen) await playground.listsModels()
    else await playground.key.waitFor()
    return playground
  }

  get options(): Locator {
    return this.page.getByLabel('Model').locator('option')
  }

  async listsModels(): Promise<void> {
    await this.options.filter({ hasText: 'scripted' }).waitFor({ state: 'attached' })
  }

  get key(): Locator {
    return this.page.getByLabel('API key')
  }

  /** Types a key into its field. */
  async useKey(key: string): Promise<void> {
    await this.key.fill(key)
    await this.key.press('Enter')
  }

  /** What the page tells of the key. */
  get access(): Locator {
    return this.page.locator('#access-says')
  }

  get failure(): Locator {
    return this.page.locator('.note.failed')
  }

  /** A link to the stream shown, for somebody else. */
  async share(): Promise<string> {
    await this.button('Share').click()
    const link = this.page.getByRole('textbox', { name: 'Link to this stream' })
    await link.waitFor()
    return link.inputValue()
  }

  /** Somebody else, who has a link and no key. */
  async guest(link: string): Promise<Page> {
    const browser = this.page.context().browser()
    if (!browser) throw new Error('The page has no browser.')
    const page = await (await browser.newContext()).newPage()
    await page.goto(link)
    return page
  }

  get message(): Locator {
    return this.page.getByRole('textbox', { name: 'Message', exact: true })
  }

  /** The text of the latest answer; of the second reader with `1`. */
  answer(reader = 0): Locator {
    return this.page.locator('.turn').last().locator('.answer').nth(reader).locator('.text')
  }

  /** The latest answer as the model wrote it. */
  get source(): Locator {
    return this.page.locator('.turn').last().locator('.answer').first().locator('.raw')
  }

  /** Lines of the list of frames with this label. */
  frames(label: string): Locator {
    return this.page.locator(`#frames li.${label}`)
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true })
  }

  /** Sends a message to the scripted provider; the test goes on as that. */
  async ask(text = 'hi'): Promise<Run> {
    await this.page.getByLabel('Model').selectOption('scripted')
    await this.message.fill(text)
    await this.message.press('Enter')
    return this.#provider.nextRun()
  }

  /** The run of what was asked otherwise than by `ask`. */
  nextRun(): Promise<Run> {
    return this.#provider.nextRun()
  }

  /** Waits until an element reads so. */
  async reads(element: Locator, text: string): Promise<void> {
    const exactly = new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(' ', '\\s+')}\\s*$`)
    await element.filter({ hasText: exactly }).waitFor()
  }
}
