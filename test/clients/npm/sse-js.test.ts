import { describeWith } from '../../support/programs.ts'
import { readerContract } from './contract.ts'
import { inPage } from './in-page.ts'

describeWith('chromium', 'in a page', (program) => {
  readerContract({ name: 'sse.js', posts: true, ...inPage(program, 'sse-js') })
})
