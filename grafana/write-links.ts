import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { withLinks } from './links.ts'

// `npm run dashboard`
for (const folder of [new URL('rules/', import.meta.url), new URL('rules/tests/', import.meta.url)])
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.yaml'))) {
    const file = new URL(name, folder)
    writeFileSync(file, withLinks(readFileSync(file, 'utf8')))
  }
