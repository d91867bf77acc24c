import { describeWith } from '../../support/programs.ts'
import { readerContract } from './contract.ts'
import { inPage } from './in-page.ts'

describeWith('chromium', 'in a page', (program) => {
  const name = 'event-source-polyfill'
  readerContract({ name, posts: false, askedAfterEnd: [['2', 204]], ...inPage(program, name) })
})
