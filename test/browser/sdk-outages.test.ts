import type { Browser } from 'playwright-core'
import { afterAll, beforeAll } from 'vitest'
import { clientOutages } from '../contract/client-outages.ts'
import { inPage } from '../support/browser-runtime.ts'
import { launchChromium } from '../support/chromium.ts'
import { describeWith } from '../support/programs.ts'

describeWith('chromium', 'the client', (program) => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium(program)
  })
  afterAll(() => browser.close())

  clientOutages(inPage(() => browser))
})
